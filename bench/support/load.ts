import { createRequire } from 'node:module'
import { type Person, usernameOf } from './people.ts'
import { BODY } from './requests.ts'

/** Requests that each connection goes through, again and again. */
const REQUESTS = 64

/** autocannon comes without types; these are of what is used here. */
type Autocannon = (options: {
  url: string
  connections: number
  duration: number
  setupClient: (client: { setRequests: (requests: object[]) => void }) => void
}) => Promise<Record<'2xx' | 'non2xx' | 'errors' | 'duration', number> & { latency: { p99: number } }>
const autocannon: Autocannon = createRequire(import.meta.url)('autocannon')

export interface Sending {
  url: string
  /** As many connections as senders. */
  senders: Person[]
  /** By number: see people.ts. */
  recipients: { first: number; last: number }
  seconds: number
}

/**
 * Sends as fast as the answers come, each message from a random sender to a random recipient.
 *
 * @throws Error when a send was refused: then the figures are not those of sends
 */
export async function sendAll({ url, senders, recipients, seconds }: Sending) {
  const pick = (first: number, last: number) => first + Math.floor(Math.random() * (last - first + 1))
  const randomSend = () => {
    const authorization = `Bearer ${senders[pick(0, senders.length - 1)]?.token}`
    const headers = { authorization, 'content-type': 'application/json' }
    const to = usernameOf(pick(recipients.first, recipients.last))
    return { method: 'POST', path: '/v1/messages', headers, body: JSON.stringify({ to, body: BODY }) }
  }
  const result = await autocannon({
    url,
    connections: senders.length,
    duration: seconds,
    setupClient: (client) => client.setRequests(Array.from({ length: REQUESTS }, randomSend)),
  })
  if (result.non2xx + result.errors > 0) throw new Error(`Sends failed: ${JSON.stringify(result)}`)
  const accepted = result['2xx']
  return { accepted, perSecond: accepted / result.duration, p99Ms: result.latency.p99 }
}
