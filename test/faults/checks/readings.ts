import type { Exchange, History, ReceivedPage, StoredInbox } from '../history.ts'
import { byAccount, type Check, type Violation } from './finding.ts'

const ORDER = 'a client receives the messages of its inbox in order, and none is left out'
const ALL = 'a client receives everything that is in its inbox'
const SAME = 'a number stands for the same message whenever it is read'

/** Compares the messages that readers got with each other, and with the stored ones. */
export const checkReadings: Check = (history) => {
  const readings = byAccount(history.exchanges.filter(({ outcome }) => outcome.page))
  const violations = history.stored.flatMap((inbox) => checkInbox(inbox, readings.get(inbox.account) ?? []))
  const pages = [...readings.values()].flat().map(({ outcome }) => outcome.page as ReceivedPage)
  return { violations, figures: { 'messages received': count(pages), ...longestDelivery(history) } }
}

const count = (pages: ReceivedPage[]) => pages.reduce((sum, { messages }) => sum + messages.length, 0)

/** @param readings in the order in which they arrived */
function checkInbox({ account, newestSeq, messages }: StoredInbox, readings: Exchange[]): Violation[] {
  const violations: Violation[] = []
  const everybody = new Received()
  const bySession = new Map<string, Received>()
  for (const { request, outcome, session = '', node, endedMs } of readings) {
    const page = outcome.page as ReceivedPage
    const report = (promise: string, what: string) =>
      violations.push({ promise, atMs: endedMs, account, node, what: `${session}: ${what}` })

    const mine = bySession.get(session) ?? new Received()
    bySession.set(session, mine)
    // A login reads after the account's acknowledged number; from there on each session has its own cursor.
    const known = request.kind === 'login' ? everybody : mine
    const after = request.kind === 'poll' ? request.after : undefined
    const first = page.messages[0]?.seq ?? page.cursor + 1
    if (after === undefined && first > known.upTo + 1)
      report(ORDER, `it was given ${first} on, and had received no more than 1 to ${known.upTo}`)
    if (after !== undefined && first !== after + 1)
      report(ORDER, `it request for what follows ${after}, and was given ${first} on`)
    if (page.messages.some(({ seq }, index) => seq !== first + index))
      report(ORDER, `a page skips: ${page.messages.map(({ seq }) => seq).join(' ')}`)
    if (page.messages.length > 0 && page.cursor !== page.messages.at(-1)?.seq)
      report(ORDER, `the cursor ${page.cursor} is not that of the last message`)
    if (page.gap) report(ORDER, 'there was a gap, and nothing was purged')
    for (const { seq, id } of page.messages) {
      if (messages[seq - 1]?.id !== id) report(SAME, `it was given ${id} as ${seq}, which is another one`)
    }

    // A login has delivered its messages, and a cursor acknowledges everything up to it.
    mine.begin(request.kind === 'login' ? page.cursor : (after ?? 0))
    mine.add(page)
    everybody.add(page)
  }
  if (everybody.upTo < newestSeq) {
    const what = `${everybody.upTo + 1} of ${newestSeq} was never received`
    violations.push({ promise: ALL, atMs: readings.at(-1)?.endedMs ?? 0, account, what })
  }
  return violations
}

/** The numbers that an account has received: all up to a number, and some beyond it. */
class Received {
  upTo = 0
  readonly #beyond = new Set<number>()

  begin(cursor: number) {
    this.upTo = Math.max(this.upTo, cursor)
  }

  add({ messages }: ReceivedPage) {
    for (const { seq } of messages) if (seq > this.upTo) this.#beyond.add(seq)
    while (this.#beyond.delete(this.upTo + 1)) this.upTo += 1
  }
}

/**
 * The time from the answer to the sender until the first client of the recipient has the message, in any
 * case.
 */
function longestDelivery({ exchanges }: History): Record<string, number> {
  const acceptedMs = new Map<string, number>()
  const receivedMs = new Map<string, number>()
  for (const { outcome, endedMs } of exchanges) {
    if (outcome.id !== undefined && !acceptedMs.has(outcome.id)) acceptedMs.set(outcome.id, endedMs)
    for (const { id } of outcome.page?.messages ?? []) if (!receivedMs.has(id)) receivedMs.set(id, endedMs)
  }
  const took = [...acceptedMs].map(([id, atMs]) => Math.max(0, (receivedMs.get(id) ?? atMs) - atMs))
  took.sort((a, b) => a - b)
  const at = (share: number) => took[Math.floor(share * (took.length - 1))] ?? 0
  return {
    'accepted to received, median, ms': at(0.5),
    'accepted to received, p99, ms': at(0.99),
    'accepted to received, longest, during faults, ms': at(1),
  }
}
