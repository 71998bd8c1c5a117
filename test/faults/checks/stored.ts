import { type History, isSend, type Send, type StoredEntry } from '../history.ts'
import type { Check, Violation } from './finding.ts'

const ONCE = 'what was accepted is stored exactly once, and nothing else is'
const KEY = 'an idempotency key gives one message'
const NUMBERED = 'an inbox is numbered without a gap'
const ORDER = 'messages stand in the order of their commits'

/** Compares the database at the end with the responses that senders got. */
export const checkStored: Check = (history) => {
  const sends = history.exchanges.filter(isSend)
  const accepted = sends.filter(({ outcome }) => outcome.status === 201)
  const violations = [
    ...notOnce(history, sends),
    ...notOnceAKey(history, accepted),
    ...misnumbered(history),
    ...outOfOrder(history, sends),
  ]
  const bodies = new Set(accepted.map(({ request }) => request.body))
  const unknown = new Set(sends.map(({ request }) => request.body).filter((body) => !bodies.has(body)))
  const stored = history.stored.flatMap(({ messages }) => messages.filter(isMessage))
  return {
    violations,
    figures: {
      'messages accepted': bodies.size,
      'of these, answered more than once': accepted.length - bodies.size,
      'messages without an answer': unknown.size,
      'of these, stored': stored.filter(({ body }) => unknown.has(body)).length,
      'messages stored': stored.length,
    },
  }
}

/** receipts.ts checks receipts. */
const isMessage = ({ receiptFor }: StoredEntry) => receiptFor === undefined

/** No two messages have the same body, unless one repeats the other. */
function notOnce({ stored }: History, sends: Send[]): Violation[] {
  const violations: Violation[] = []
  const byBody = new Map<string, { to: string; id: string; from: string }>()
  const askedByBody = new Map(sends.map((send) => [send.request.body, send]))
  for (const { account, messages } of stored) {
    for (const { seq, id, from, body } of messages.filter(isMessage)) {
      const request = askedByBody.get(body)
      const report = (what: string) =>
        violations.push({ promise: ONCE, atMs: request?.endedMs ?? 0, account, what: `"${body}" ${what}` })
      if (byBody.has(body)) report(`is stored twice, the second time as ${account} ${seq}`)
      if (!request || request.request.to !== account || request.account !== from)
        report(`is stored as ${account} ${seq} from ${from}, and nobody request for that`)
      byBody.set(body, { to: account, id, from })
    }
  }
  for (const { request, outcome, account, node, endedMs } of sends) {
    if (outcome.status !== 201) continue
    const found = byBody.get(request.body)
    if (found?.id === outcome.id && found?.to === request.to) continue
    const what = found ? `is stored as ${found.id}` : 'is not stored'
    const message = `"${request.body}" to ${request.to} was accepted as ${outcome.id} and ${what}`
    violations.push({ promise: ONCE, atMs: endedMs, account, node, what: message })
  }
  return violations
}

function notOnceAKey({ stored }: History, accepted: Send[]): Violation[] {
  const given = new Map<string, Set<string>>()
  const note = (account: string, key: string, id: string) => {
    const name = `${account} ${key}`
    given.set(name, (given.get(name) ?? new Set()).add(id))
  }
  const keyed = accepted.filter(({ request }) => request.key !== undefined)
  for (const { account, keys } of stored) for (const { key, messageId } of keys) note(account, key, messageId)
  const kept = new Set(given.keys())
  for (const { account, request, outcome } of keyed)
    note(account, request.key as string, outcome.id as string)

  return keyed.flatMap(({ account, node, request, endedMs }): Violation[] => {
    const name = `${account} ${request.key}`
    const ids = [...(given.get(name) as Set<string>)]
    if (ids.length === 1 && kept.has(name)) return []
    const what = ids.length > 1 ? `gave ${ids.join(' and ')}` : 'was not kept'
    return [{ promise: KEY, atMs: endedMs, account, node, what: `the key "${request.key}" ${what}` }]
  })
}

function misnumbered({ stored }: History): Violation[] {
  return stored.flatMap(({ account, newestSeq, messages }) => {
    const wrong = messages.findIndex(({ seq }, index) => seq !== index + 1)
    if (wrong < 0 && messages.length === newestSeq) return []
    const what =
      wrong < 0
        ? `${messages.length} messages are there, and newest_seq is ${newestSeq}`
        : `${messages[wrong]?.seq} stands where ${wrong + 1} should`
    return [{ promise: NUMBERED, atMs: 0, account, what }]
  })
}

/** A message that was accepted before another was sent comes before it. */
function outOfOrder({ stored }: History, sends: Send[]): Violation[] {
  const askedMs = new Map<string, number>()
  const acceptedMs = new Map<string, number>()
  for (const { request, outcome, beganMs, endedMs } of sends) {
    askedMs.set(request.body, Math.min(beganMs, askedMs.get(request.body) ?? Number.POSITIVE_INFINITY))
    if (outcome.status === 201)
      acceptedMs.set(
        request.body,
        Math.min(endedMs, acceptedMs.get(request.body) ?? Number.POSITIVE_INFINITY),
      )
  }
  return stored.flatMap(({ account, messages }) => {
    let latestAskedMs = 0
    return messages.flatMap(({ seq, body }): Violation[] => {
      const atMs = acceptedMs.get(body) ?? Number.POSITIVE_INFINITY
      const before = latestAskedMs
      latestAskedMs = Math.max(latestAskedMs, askedMs.get(body) ?? 0)
      if (atMs >= before) return []
      const what = `${seq} was accepted before one of those was request for that stand before it`
      return [{ promise: ORDER, atMs, account, what }]
    })
  })
}
