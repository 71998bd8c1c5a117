import type { ClientRequest, Exchange } from '../history.ts'
import type { Check, Violation } from './finding.ts'

const PROMISE = 'only what the contract foresees is answered, and nothing ends by itself'

/** 0 means that the connection broke, or that the client no longer waited. */
const FORESEEN: Record<ClientRequest['kind'], (number | string)[]> = {
  send: [0, 201, 401, 503],
  poll: [0, 200, 401, 503],
  acknowledge: [0, 204, 401, 503],
  login: [0, 200, 'already_online', 503],
  logout: [0, 204, 401, 503],
}

export const checkAnswers: Check = ({ exchanges, failures }) => {
  const violations: Violation[] = failures.map(({ atMs, what }) => ({ promise: PROMISE, atMs, what }))
  const figures: Record<string, number> = {}
  for (const exchange of exchanges) {
    const { request, outcome, account, node, beganMs, endedMs } = exchange
    const name = `answers ${outcome.status} to ${request.kind}`
    figures[name] = (figures[name] ?? 0) + 1
    if (request.kind !== 'poll')
      figures['longest answer, ms'] = Math.max(figures['longest answer, ms'] ?? 0, endedMs - beganMs)
    if (!isForeseen(exchange)) {
      const what = `${request.kind} was answered ${outcome.status} ${outcome.code}`
      violations.push({ promise: PROMISE, atMs: endedMs, account, node, what })
    }
  }
  return { violations, figures }
}

const isForeseen = ({ request, outcome }: Exchange) =>
  FORESEEN[request.kind].some((foreseen) => foreseen === outcome.status || foreseen === outcome.code)
