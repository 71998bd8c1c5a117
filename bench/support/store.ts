import SqliteFile from 'better-sqlite3'
import { messageId } from '../../src/message-id.ts'
import { withSql } from '../../test/support/sql.ts'
import { addPeople } from './people.ts'
import { startServer } from './processes.ts'
import { BODY } from './requests.ts'

const HOUR_MS = 3_600_000

/** Makes a SQLite file with people; the server itself creates the tables. */
export async function seed(file: string, accounts: number): Promise<void> {
  await (await startServer(file)).stop()
  await withSql(`file:${file}`, (sql) => addPeople(sql, accounts))
}

/**
 * Writes messages into the inboxes of the first people in the order of time, so that inboxes are interleaved
 * as when the server writes them.
 *
 * @param senders how many people send them, in turn
 * @param recipientOf the number of the recipient of a message, from 0 on
 */
export function addMessages(
  file: string,
  { messages, senders }: { messages: number; senders: number },
  recipientOf: (message: number) => number,
): void {
  const database = new SqliteFile(file)
  // No other process reads the file, and an unfinished file is useless.
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
 * @param database the path or the URL of a database that no server uses
 * @param accepted how many sends were answered with 201, plus the messages from before
 * @param unreadAnswersMax how many requests were in flight when a run ended, whose answers nobody read
 * @throws Error when an accepted message is missing, when nobody sent a stored one, or when an inbox has gaps
 */
export function verifyStore(database: string, accepted: number, unreadAnswersMax = 0) {
  return withSql(database.includes(':') ? database : `file:${database}`, async (sql) => {
    const inboxes = `SELECT recipient_id, count(*) AS stored, max(seq) AS newest FROM message GROUP BY 1`
    const [found] = await sql.run(
      `SELECT (SELECT count(*) FROM message) AS stored,
              (SELECT count(*) FROM account JOIN (${inboxes}) AS inbox ON recipient_id = account.id
                WHERE stored <> newest - purged_seq) AS gaps`,
    )
    const stored = Number(found?.['stored'])
    if (stored < accepted || stored > accepted + unreadAnswersMax)
      throw new Error(
        `${accepted} (up to ${unreadAnswersMax} more) messages were accepted, ${stored} are stored.`,
      )
    if (Number(found?.['gaps']) > 0) throw new Error(`${found?.['gaps']} inboxes have gaps.`)
  })
}
