/**
 * One of the processes of the load generator that is used where wrk is not installed: gets a Sending as a
 * message, and answers with an Outcome. In a thread autocannon takes itself for one of its own workers, and
 * gives other results.
 */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { Outcome, Sending } from './load.ts'
import { usernameOf } from './people.ts'
import { BODY } from './requests.ts'

/** Requests that each connection goes through, again and again. */
const REQUESTS = 64

/** autocannon comes without types; this is what is used of it. */
type Autocannon = (options: {
  url: string
  connections: number
  duration: number
  setupClient: (client: { setRequests: (requests: object[]) => void }) => void
}) => Promise<{
  '2xx': number
  non2xx: number
  errors: number
  duration: number
  latency: { p50: number; p99: number }
}>
const require = createRequire(import.meta.url)
const autocannon: Autocannon = require('autocannon')

const [sending] = (await once(process, 'message')) as [Sending]
const { url, senders, recipients, seconds, connections } = sending
const pick = (count: number) => Math.floor(Math.random() * count)

const result = await autocannon({
  url,
  connections,
  duration: seconds,
  setupClient: (client) => client.setRequests(Array.from({ length: REQUESTS }, randomSend)),
})
const outcome: Outcome = {
  requests: result['2xx'] + result.non2xx,
  failures: result.non2xx + result.errors,
  seconds: result.duration,
  p50Ms: result.latency.p50,
  p99Ms: result.latency.p99,
}
process.send?.(outcome, () => process.disconnect())

function randomSend() {
  const { first, last } = recipients
  const to = usernameOf(first + pick(last - first + 1))
  return {
    method: 'POST',
    path: '/v1/messages',
    headers: {
      authorization: `Bearer ${senders[pick(senders.length)]?.token}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ to, body: BODY }),
  }
}
