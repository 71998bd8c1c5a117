import type pg from 'pg'
import { type Database, type OwnedSession, PAGE_BYTES_MAX, pageOf, type ReadFrom } from '../database.ts'
import { msOf } from './fragments.ts'

/**
 * Counters and messages in one statement, so that they are of the same moment. A message is made to JSON
 * there and then: openapi.yaml, `Message`. The sum keeps long messages from filling the memory; the page is
 * cut to its size afterwards.
 */
const READ_INBOX = `
SELECT newest_seq, purged_seq, start.seq AS after, page.message
  FROM account
 CROSS JOIN LATERAL (
   SELECT CASE WHEN $2::bigint IS NULL THEN acknowledged_seq
               ELSE greatest($2, (SELECT acknowledged_seq FROM session WHERE session.id = $3)) END AS seq
 ) AS start
  LEFT JOIN LATERAL (
   SELECT seq, row_to_json(message) AS message
     FROM (
       SELECT message.seq, encode(message.id, 'hex')::uuid AS id, username AS "from", body,
              to_char(sent_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "sentAt"
         FROM (
           SELECT *, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS bytes_before
             FROM message
            WHERE recipient_id = account.id AND seq > start.seq ORDER BY seq LIMIT $4
         ) AS message
         JOIN account AS sender ON sender.id = sender_id
        WHERE bytes_before <= ${PAGE_BYTES_MAX}
     ) AS message
 ) AS page ON true
 WHERE account.id = $1
 ORDER BY page.seq`

interface InboxRow {
  newest_seq: number
  purged_seq: number
  after: number
  message: string | null
}

const FIND_MESSAGE = `
SELECT sender.username AS "from", recipient.username AS "to", ${msOf('sent_at')} AS "sentAtMs",
       seq <= recipient.acknowledged_seq AS acknowledged
  FROM message
  JOIN account AS sender ON sender.id = sender_id
  JOIN account AS recipient ON recipient.id = recipient_id
 WHERE message.id = uuid_send($1) AND recipient.deleted_at IS NULL`

const FIND_SESSION = `
SELECT session.id, account_id AS "accountId", username, ${msOf('session.created_at')} AS "createdAtMs",
       ${msOf('expires_at')} AS "expiresAtMs", session.acknowledged_seq AS "acknowledgedSeq",
       offered_seq AS "offeredSeq"
  FROM session JOIN account ON account.id = account_id WHERE session.id = $1`

type ReadVerbs = Pick<Database, 'readInbox' | 'findMessage' | 'findSession' | 'ping'>

/** What is read on the path of a message, by statements that are parsed once a connection. */
export function readVerbs(pool: pg.Pool): ReadVerbs {
  const run = async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
    (await pool.query<Row>({ name, text, values })).rows

  return {
    async readInbox(accountId: number, from: ReadFrom, limit: number) {
      const [behind, sessionId] = parametersOf(from)
      const rows = await run<InboxRow>('read_inbox', READ_INBOX, [accountId, behind, sessionId, limit])
      const [first] = rows
      if (!first) throw new Error(`There is no account ${accountId}.`)
      const messages = rows.flatMap(({ message }) => message ?? [])
      return {
        after: first.after,
        messages: pageOf(messages),
        newestSeq: first.newest_seq,
        purgedSeq: first.purged_seq,
      }
    },
    findMessage: async (messageId) => {
      const [row] = await run<{ from: string; to: string; sentAtMs: number; acknowledged: boolean }>(
        'find_message',
        FIND_MESSAGE,
        [messageId],
      )
      return row && { id: messageId.toLowerCase(), ...row }
    },
    findSession: async (sessionId) => (await run<OwnedSession>('find_session', FIND_SESSION, [sessionId]))[0],
    ping: async () => {
      await run('ping', 'SELECT FROM account LIMIT 1', [])
    },
  }
}

/** The number to read behind at least, and the session that may be further. */
function parametersOf(from: ReadFrom): [number | null, string | null] {
  if (from === 'acknowledged') return [null, null]
  return typeof from === 'number' ? [from, null] : [from.atLeast, from.sessionId]
}
