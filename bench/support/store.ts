import SqliteFile from 'better-sqlite3'
import { messageId } from '../../src/message-id.ts'
import { withSql } from '../../test/support/sql.ts'
import { addPeople } from './people.ts'
import { startServer } from './processes.ts'
import { BODY } from './requests.ts'

const HOUR_MS = 3_600_000

/** Makes a SQLite file with people in it; the server itself makes the tables. */
export async function seed(file: string, accounts: number): Promise<void> {
  await (await startServer(file)).stop()
  await withSql(`file:${file}`, (sql) => addPeople(sql, accounts))
}

/**
 * Writes messages into the inboxes of the first people, in the order of time, as the server writes them: the
 * inboxes are mixed.
 *
 * @param senders so many people send them in turn
 * @param recipientOf the number of the recipient of a message, from 0 on
 */
export function addMessages(
  file: string,
  { messages, senders }: { messages: number; senders: number },
  recipientOf: (message: number) => number,
): void {
  const database = new SqliteFile(file)
  // No other process looks at it, and an unfinished file is of no use.
  database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -500000')
  const insert = database.prepare(
    `INSERT INTO message (recipient_id, seq, id, sender_id, body, sent_at, bytes_before)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const newest = new Map<number, number>()
  // Recent enough to be kept.
  const fromMs = Date.now() - HOUR_MS
  database.transaction(() => {
    for (let message = 0; message < messages; message += 1) {
      const recipient = 1 + recipientOf(message)
      const before = newest.get(recipient) ?? 0
      newest.set(recipient, before + 1)
      const sentAt = fromMs + Math.floor(message / 1_000)
      const id = Buffer.from(messageId(sentAt).replaceAll('-', ''), 'hex')
      insert.run(recipient, before + 1, id, 1 + (message % senders), BODY, sentAt, before * BODY.length)
    }
  })()
  database.close()
}

/**
 * @param database the path or the URL of one that no server uses
 * @param accepted how many sends were answered with 201, with the messages that were there before
 * @param unheardMax how many requests were under way when a run ended, so that nobody read their answers
 * @throws Error when an accepted message is missing, when there is one that nobody sent, or a gap in an inbox
 */
export function verifyStore(database: string, accepted: number, unheardMax = 0) {
  return withSql(database.includes(':') ? database : `file:${database}`, async (sql) => {
    const inboxes = `SELECT recipient_id, count(*) AS stored, max(seq) AS newest FROM message GROUP BY 1`
    const [found] = await sql.run(
      `SELECT (SELECT count(*) FROM message) AS stored,
              (SELECT count(*) FROM account JOIN (${inboxes}) AS inbox ON recipient_id = account.id
                WHERE stored <> newest - purged_seq) AS gaps`,
    )
    const stored = Number(found?.['stored'])
    if (stored < accepted || stored > accepted + unheardMax)
      throw new Error(`${accepted} (up to ${unheardMax} more) messages were accepted, ${stored} are stored.`)
    if (Number(found?.['gaps']) > 0) throw new Error(`${found?.['gaps']} inboxes have gaps.`)
  })
}
