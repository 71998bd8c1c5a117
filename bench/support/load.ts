import { createRequire } from 'node:module'
import { type Person, usernameOf } from './people.ts'
import { BODY } from './requests.ts'

interface Request {
  method?: 'POST'
  path: string
  headers: Record<string, string>
  body?: string
}

const require = createRequire(import.meta.url)
/** It has no types. */
const autocannon = require('autocannon')

export interface Sent {
  accepted: number
  perSecond: number
  p99Ms: number
}

/**
 * Sends each request as soon as the answer to the last one has arrived.
 *
 * @param requestsOf the requests that a connection repeats
 * @throws Error when a request was refused
 */
export async function drive(
  url: string,
  connections: number,
  seconds: number,
  requestsOf: (connection: number) => Request[],
): Promise<Sent> {
  let opened = 0
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    setupClient: (client: { setRequests: (requests: Request[]) => void }) => {
      client.setRequests(requestsOf(opened))
      opened += 1
    },
  })
  if (result.non2xx + result.errors > 0) throw new Error(`Requests failed: ${JSON.stringify(result)}`)
  const accepted = result['2xx']
  return { accepted, perSecond: accepted / result.duration, p99Ms: result.latency.p99 }
}

/** @param first the number of the first recipient, see people.ts */
export function sendAll(url: string, senders: Person[], [first, last]: [number, number], seconds: number) {
  const pick = (from: number, to: number) => from + Math.floor(Math.random() * (to - from + 1))
  const randomSend = (): Request => ({
    method: 'POST',
    path: '/v1/messages',
    headers: {
      authorization: `Bearer ${senders[pick(0, senders.length - 1)]?.token}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ to: usernameOf(pick(first, last)), body: BODY }),
  })
  const requestsOf = () => Array.from({ length: 64 }, randomSend)
  return drive(url, senders.length, seconds, requestsOf)
}
