import assert from 'node:assert/strict'
import { bytesToUuids } from '../../src/database/uuid.ts'
import type { Person } from './client.ts'
import { withSql } from './sql.ts'

/** Sends a message that asks for a receipt. */
export const sendWithReceipt = (from: Person, to: Person, body: string, key?: string) =>
  from.request('POST', '/v1/messages', {
    body: { to: to.username, body, receipt: true },
    headers: key === undefined ? {} : { 'idempotency-key': key },
  })

/** One statement, so that both parts show the same moment. */
const PROMISED_AND_GIVEN = `
  SELECT sender_id AS owner, recipient_id AS reader, message.id AS ids, 0 AS given
    FROM message JOIN account ON account.id = recipient_id
   WHERE wants_receipt AND seq <= acknowledged_seq
   UNION ALL
  SELECT recipient_id, sender_id, receipt_for, 1 FROM message WHERE receipt_for IS NOT NULL`

/**
 * Checks the receipts in a store at any moment: one for each acknowledged message that asks for it, and no
 * other. There must have been no purges and no blocks.
 *
 * @returns how many messages have a receipt
 */
export async function assertOneReceiptEach(database: string): Promise<number> {
  const rows = await withSql(database, ({ run }) => run(PROMISED_AND_GIVEN))
  const told = rows.map(({ owner, reader, ids, given }) =>
    bytesToUuids(ids as Buffer).map((id) => ({ text: `${id} by ${reader} to ${owner}`, given: given === 1 })),
  )
  const [given, promised] = [true, false].map((which) =>
    told.flatMap((each) => each.flatMap((one) => (one.given === which ? one.text : []))).sort(),
  )
  assert.deepEqual(given, promised, 'the receipts, and the acknowledged messages that ask for one')
  return given?.length ?? 0
}
