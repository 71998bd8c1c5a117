import { copyFileSync } from 'node:fs'
import SqliteFile from 'better-sqlite3'
import { parse as uuidToBytes, v7 as uuidv7 } from 'uuid'
import { passwordHash } from './password.ts'
import { sessionIdOf, usernameOf } from './people.ts'
import type { Processes } from './processes.ts'
import { BODY } from './requests.ts'

const DAY_MS = 86_400_000

export interface Contents {
  accounts: number
  /** Messages that are there already, for random people or as many for each of the first few. */
  messages?: number
  /** Into how many inboxes they go, in turn; into random ones of all when not said. */
  inboxes?: number
}

/**
 * Makes a database with people in it: the server itself makes the tables, and what is in them is written
 * without it.
 */
export async function seed(processes: Processes, file: string, contents: Contents): Promise<void> {
  const server = await processes.server(file)
  await server.stop()

  const hash = await passwordHash()
  const database = new SqliteFile(file)
  // No other process looks at it, and an unfinished file is of no use.
  database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -500000')
  database.transaction(() => {
    insertPeople(database, contents.accounts, hash)
    insertMessages(database, contents)
  })()
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
}

/** A database like another one that nobody has opened. */
export const copyOf = (template: string, file: string): string => {
  copyFileSync(template, file)
  return file
}

function insertPeople(database: SqliteFile.Database, accounts: number, hash: string) {
  const insertAccount = database.prepare(
    'INSERT INTO account (id, username, display_name, password_hash, created_at) VALUES (?, ?, ?, ?, ?)',
  )
  const insertSession = database.prepare(
    `INSERT INTO session (id, account_id, created_at, expires_at, acknowledged_seq, offered_seq)
     VALUES (?, ?, ?, ?, 0, 0)`,
  )
  const nowMs = Date.now()
  for (let index = 0; index < accounts; index += 1) {
    const username = usernameOf(index)
    insertAccount.run(index + 1, username, username, hash, nowMs)
    insertSession.run(sessionIdOf(index), index + 1, nowMs, nowMs + 365 * DAY_MS)
  }
}

/** In the order of time, as the server would have written them: the inboxes are mixed. */
function insertMessages(database: SqliteFile.Database, { accounts, messages = 0, inboxes }: Contents) {
  const insertMessage = database.prepare(
    `INSERT INTO message (recipient_id, seq, id, sender_id, body, sent_at, bytes_before)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const newest = new Map<number, number>()
  // Recent enough to be kept, whatever happens to it.
  const fromMs = Date.now() - DAY_MS / 24
  for (let index = 0; index < messages; index += 1) {
    const recipient = 1 + (inboxes ? index % inboxes : Math.floor(Math.random() * accounts))
    const seq = (newest.get(recipient) ?? 0) + 1
    newest.set(recipient, seq)
    const msecs = fromMs + Math.floor(index / 1_000)
    const id = uuidToBytes(uuidv7({ msecs }))
    insertMessage.run(recipient, seq, id, 1 + (index % accounts), BODY, msecs, (seq - 1) * BODY.length)
  }
}

/** What a stopped server was told to keep. */
export interface Expected {
  /** Messages that were answered with 201, and those that were there before. */
  accepted: number
  /** Requests that were under way when a run ended: their answers were not heard. */
  unheardMax?: number
  /** Ids from answers, each of which must be there. */
  ids?: string[]
}

/**
 * Looks into the file of a stopped server.
 *
 * @throws Error when a message that was accepted is not there, one is there that nobody sent, or a number is
 * missing
 */
export function verifyStore(file: string, { accepted, unheardMax = 0, ids = [] }: Expected): void {
  const database = new SqliteFile(file, { readonly: true })
  try {
    const count = (sql: string) => Number(database.prepare(sql).pluck().get())
    const stored = count('SELECT count(*) FROM message')
    if (stored < accepted || stored > accepted + unheardMax) {
      throw new Error(
        `${accepted} messages were accepted (and up to ${unheardMax} more), ${stored} are stored.`,
      )
    }
    const gaps = count(
      `SELECT count(*) FROM account
         JOIN (SELECT recipient_id, count(*) AS stored, max(seq) AS newest
                 FROM message GROUP BY recipient_id)
           ON recipient_id = account.id AND stored <> newest - purged_seq`,
    )
    if (gaps > 0) throw new Error(`${gaps} inboxes have numbers without a message.`)
    const find = database.prepare('SELECT 1 FROM message WHERE id = ?').pluck()
    const lost = ids.filter((id) => find.get(uuidToBytes(id)) !== 1)
    if (lost.length > 0) throw new Error(`${lost.length} of ${ids.length} accepted messages are not stored.`)
  } finally {
    database.close()
  }
}
