import type { History } from '../history.ts'
import type { Check, Violation } from './finding.ts'

const ONCE = 'a message that asks for a receipt has one when it is acknowledged, and no other message has any'

/** Compares the receipts in the database at the end with the messages and their acknowledgements. */
export const checkReceipts: Check = (history) => {
  const given = receiptsOf(history)
  const violations = history.stored.flatMap(({ account, acknowledgedSeq, messages }) => {
    const asking = askingFor(history, account)
    return messages.flatMap(({ seq, id, from, body, receiptFor }): Violation[] => {
      const expected =
        asking.has(body) && !receiptFor && seq <= acknowledgedSeq ? [`${account} to ${from}`] : []
      const found = given.get(id) ?? []
      given.delete(id)
      if (found.join() === expected.join()) return []
      const what = `"${body}", which is ${account} ${seq} of ${acknowledgedSeq} acknowledged ones, has ${found.length} receipts (${found})`
      return [{ promise: ONCE, atMs: 0, account, what }]
    })
  })
  const strange = [...given].map(([id, found]): Violation => {
    return { promise: ONCE, atMs: 0, what: `${found} is a receipt for ${id}, and there is no such message` }
  })
  const count = history.stored
    .flatMap(({ messages }) => messages)
    .filter(({ receiptFor }) => receiptFor).length
  return { violations: [...violations, ...strange], figures: { receipts: count } }
}

/** By the id of the message: the accounts that send and get the receipt. */
function receiptsOf({ stored }: History): Map<string, string[]> {
  const given = new Map<string, string[]>()
  for (const { account, messages } of stored)
    for (const { from, receiptFor = [] } of messages)
      for (const id of receiptFor) given.set(id, [...(given.get(id) ?? []), `${from} to ${account}`])
  return given
}

/** The texts that were sent to an account with a request for a receipt. */
const askingFor = ({ exchanges }: History, account: string) =>
  new Set(
    exchanges.flatMap(({ request }) =>
      request.kind === 'send' && request.receipt && request.to === account ? [request.body] : [],
    ),
  )
