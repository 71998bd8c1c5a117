import type pg from 'pg'
import {
  type Account,
  type ApplicationToken,
  type Block,
  type Database,
  type InboxCounters,
  type ListedSession,
  type MessageRecord,
  type OwnedSession,
  type OwnedToken,
  type PageSize,
  RECEIPT_ID_BYTES,
  type ReadFrom,
} from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { bytesToUuid, bytesToUuids } from '../uuid.ts'
import { msOf, polledElsewhere, timestampOf } from './fragments.ts'

/** What the ids of a receipt take in a page. */
const RECEIPT_BYTES = `coalesce(octet_length(receipt_for) / 16 * ${RECEIPT_ID_BYTES}, 0)`

/**
 * Counters and messages in one statement, so that they are of the same moment. The sum keeps long messages
 * from filling the memory.
 */
const READ_INBOX = `
SELECT newest_seq, start.seq AS after, page.*,
       EXISTS (SELECT FROM push_subscription
                WHERE session_id = $6 AND hinted_until IS NOT NULL) AS was_hinted,
       (SELECT min(from_seq) FROM restored_range
         WHERE account_id = account.id AND to_seq > start.seq) AS restored_from
  FROM account
 CROSS JOIN LATERAL (
   SELECT CASE WHEN $2::bigint IS NULL THEN acknowledged_seq
               ELSE greatest($2, (SELECT acknowledged_seq FROM session WHERE session.id = $3)) END AS seq
 ) AS start
  LEFT JOIN LATERAL (
   SELECT message.seq, message.id, username AS "from", body, ${msOf('sent_at')} AS sent_at_ms, receipt_for
     FROM (
       SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_ahead
         FROM message CROSS JOIN LATERAL (SELECT octet_length(body) + ${RECEIPT_BYTES} AS bytes) AS _
        WHERE recipient_id = account.id AND seq > start.seq ORDER BY seq LIMIT $4
     ) AS message
     JOIN account AS sender ON sender.id = sender_id
    WHERE bytes_ahead < $5
 ) AS page ON true
 WHERE account.id = $1
 ORDER BY page.seq`

interface InboxRow {
  newest_seq: number
  after: number
  restored_from: number | null
  was_hinted: boolean
  /** Null in the only row when there is no message. */
  seq: number | null
  id: Buffer
  from: string
  body: string
  sent_at_ms: number
  receipt_for: Buffer | null
}

const NEWEST_SEQ = 'SELECT newest_seq FROM account WHERE id = $1'

const FIND_MESSAGE = `
SELECT sender.username AS "from", recipient.username AS "to", ${msOf('sent_at')} AS "sentAtMs",
       CASE WHEN seq IS NULL THEN 'expired' WHEN seq <= recipient.acknowledged_seq THEN 'delivered'
            ELSE 'stored' END AS state
  FROM (SELECT seq, sender_id, recipient_id, sent_at FROM message WHERE id = uuid_send($1)
         UNION ALL
        SELECT NULL, sender_id, recipient_id, sent_at FROM expired_message WHERE id = uuid_send($1)) AS found
  JOIN account AS sender ON sender.id = sender_id
  JOIN account AS recipient ON recipient.id = recipient_id
 WHERE recipient.deleted_at IS NULL`

const FIND_ACCOUNT = `
SELECT id, username, display_name AS "displayName", password_hash AS "passwordHash",
       ${msOf('created_at')} AS "createdAtMs", ${msOf('last_seen_at')} AS "lastSeenAtMs",
       ${msOf('disabled_at')} AS "disabledAtMs", hides_presence AS "hidesPresence"
  FROM account WHERE username = $1 AND deleted_at IS NULL`

const FIND_SESSION = `
SELECT session.id, account_id AS "accountId", username, ${msOf('session.created_at')} AS "createdAtMs",
       ${msOf('expires_at')} AS "expiresAtMs", session.acknowledged_seq AS "acknowledgedSeq",
       offered_seq AS "offeredSeq"
  FROM session JOIN account ON account.id = account_id WHERE session.id = $1`

const LAST_LOGIN = `
SELECT max(${msOf('known_address.last_login_at')}) AS ms
  FROM known_address JOIN account ON account.id = account_id
 WHERE username = $1 AND address = ANY ($2::bytea[])`

const TOKEN_DATES = `${msOf('expires_at')} AS "expiresAtMs", ${msOf('last_used_at')} AS "lastUsedAtMs"`

const LIST_TOKENS = `
SELECT id, name, ${msOf('created_at')} AS "createdAtMs", ${TOKEN_DATES}
  FROM application_token WHERE account_id = $1 ORDER BY created_at, id COLLATE "C"`

const FIND_TOKEN = `
SELECT application_token.id, account_id AS "accountId", username, ${TOKEN_DATES}
  FROM application_token JOIN account ON account.id = account_id
 WHERE hash = $1 AND deleted_at IS NULL AND disabled_at IS NULL`

const IS_BLOCKED = 'SELECT FROM block WHERE account_id = $1 AND blocked_id = $2'

const LIST_BLOCKS = `
SELECT username, ${msOf('block.created_at')} AS "createdAtMs"
  FROM block JOIN account ON account.id = blocked_id
 WHERE account_id = $1 AND deleted_at IS NULL ORDER BY username COLLATE "C"`

const COUNT_INBOX = `
SELECT newest_seq AS newest, own.acknowledged_seq AS acknowledged,
       newest_seq - read - (
         SELECT coalesce(sum(to_seq - greatest(from_seq - 1, read)), 0)::bigint
           FROM restored_range WHERE account_id = account.id AND to_seq > read
       ) - coalesce(receipts - (
         SELECT receipts_before FROM message
          WHERE recipient_id = account.id AND seq > read ORDER BY seq LIMIT 1), 0) AS unread
  FROM account
 CROSS JOIN LATERAL (
   SELECT greatest($3, (SELECT acknowledged_seq FROM session WHERE session.id = $2)) AS acknowledged_seq
 ) AS own
 CROSS JOIN LATERAL (SELECT greatest(own.acknowledged_seq, purged_seq) AS read) AS reading
 WHERE id = $1`

const LIST_SESSIONS = `
SELECT id, label, ${msOf('created_at')} AS "createdAtMs", ${msOf('expires_at')} AS "expiresAtMs",
       ${msOf('last_seen_at')} AS "lastSeenAtMs", ${polledElsewhere('session.id', '$3')} AS "isElsewhere"
  FROM session WHERE account_id = $1 AND expires_at > ${timestampOf('$2::bigint')}
 ORDER BY created_at DESC, id`

type ReadVerbs = Pick<
  Database,
  | 'readInbox'
  | 'newestSeq'
  | 'findMessage'
  | 'findAccount'
  | 'findSession'
  | 'lastLoginFrom'
  | 'listTokens'
  | 'findToken'
  | 'isBlocked'
  | 'listBlocks'
  | 'countInbox'
  | 'listSessions'
  | 'ping'
>

/**
 * What is read on the path of a message, by statements that are parsed once a connection.
 *
 * @param nodeId this node: its own polls are known here
 */
export function readVerbs(pool: pg.Pool, nodeId: string): ReadVerbs {
  const run = async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
    (await pool.query<Row>({ name, text, values })).rows

  return {
    async readInbox(accountId: number, from: ReadFrom, { messages, bytes }: PageSize, hintedSessionId) {
      const [behind, sessionId] = parametersOf(from)
      const values = [accountId, behind, sessionId, messages, bytes, hintedSessionId]
      const rows = await run<InboxRow>('read_inbox', READ_INBOX, values)
      const [first] = rows
      if (!first) throw new Error(`There is no account ${accountId}.`)
      return {
        after: first.after,
        messages: rows.flatMap(({ seq, id, from, body, sent_at_ms: sentAtMs, receipt_for: ids }) => {
          const receiptFor = ids ? bytesToUuids(ids) : undefined
          return seq === null ? [] : { seq, id: bytesToUuid(id), from, body, sentAtMs, receiptFor }
        }),
        newestSeq: first.newest_seq,
        restoredFrom: first.restored_from ?? undefined,
        wasHinted: first.was_hinted,
      }
    },
    newestSeq: async (accountId) => {
      const [row] = await run<{ newest_seq: number }>('newest_seq', NEWEST_SEQ, [accountId])
      return row?.newest_seq ?? 0
    },
    findMessage: async (messageId) => {
      const [row] = await run<Omit<MessageRecord, 'id'>>('find_message', FIND_MESSAGE, [messageId])
      return row && { id: messageId.toLowerCase(), ...row }
    },
    findAccount: async (username) => {
      const [row] = await run<Row<Account>>('find_account', FIND_ACCOUNT, [username])
      return row && withoutNulls<Account>(row)
    },
    findSession: async (sessionId) => (await run<OwnedSession>('find_session', FIND_SESSION, [sessionId]))[0],
    lastLoginFrom: async (username, addresses) => {
      const hashes = addresses.map((address) => Buffer.from(address))
      const [row] = await run<{ ms: number | null }>('last_login', LAST_LOGIN, [username, hashes])
      return row?.ms ?? undefined
    },
    listTokens: async (accountId) => {
      const rows = await run<Row<ApplicationToken>>('list_tokens', LIST_TOKENS, [accountId])
      return rows.map(withoutNulls<ApplicationToken>)
    },
    findToken: async (hash) => {
      const [row] = await run<Row<OwnedToken>>('find_token', FIND_TOKEN, [Buffer.from(hash)])
      return row && withoutNulls<OwnedToken>(row)
    },
    isBlocked: async (accountId, blockedId) =>
      (await run('is_blocked', IS_BLOCKED, [accountId, blockedId])).length > 0,
    listBlocks: (accountId) => run<Block>('list_blocks', LIST_BLOCKS, [accountId]),
    countInbox: async (accountId, { sessionId, atLeast }) => {
      const [row] = await run<InboxCounters>('count_inbox', COUNT_INBOX, [accountId, sessionId, atLeast])
      if (!row) throw new Error(`There is no account ${accountId}.`)
      return row
    },
    listSessions: async (accountId, nowMs) => {
      const rows = await run<Row<ListedSession>>('list_sessions', LIST_SESSIONS, [accountId, nowMs, nodeId])
      return rows.map(withoutNulls<ListedSession>)
    },
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
