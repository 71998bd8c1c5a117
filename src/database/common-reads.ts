import type {
  Account,
  ApplicationToken,
  Block,
  Database,
  InboxCounters,
  Invite,
  ListedAccount,
  ListedSession,
  ListedSubscription,
  MessageRecord,
  OwnedSession,
  OwnedToken,
} from './database.ts'
import type { Dialect, Query } from './dialect.ts'
import { type Row, withoutNulls } from './rows.ts'
import { uuidToBytes } from './uuid.ts'

/** SQLite has 0 and 1 for no and yes. */
type AccountRow = Row<Omit<Account, 'hidesPresence'>> & { hidesPresence: boolean | number }
type SessionRow = Row<Omit<ListedSession, 'isElsewhere'>> & { isElsewhere: boolean | number }

type ListedAccountRow = Row<Omit<ListedAccount, 'inbox'> & InboxCounters>

/** The reads whose statements are the same on both databases: all but pages and push hints. */
export function commonReads(query: Query, dialect: Dialect) {
  const sql = statementsFor(dialect)
  const listed = async (name: string, text: string, values: unknown[]) =>
    (await query<ListedAccountRow>(name, text, values)).map(toListedAccount)

  return {
    newestSeq: async (accountId) => {
      const [row] = await query<{ newest: number }>('newest_seq', sql.newestSeq, [accountId])
      return row?.newest ?? 0
    },
    findMessage: async (messageId) => {
      const values = [uuidToBytes(messageId)]
      const [row] = await query<Omit<MessageRecord, 'id'>>('find_message', sql.findMessage, values)
      return row && { id: messageId.toLowerCase(), ...row }
    },
    findAccount: async (username) => {
      const [row] = await query<AccountRow>('find_account', sql.findAccount, [username])
      return row && withoutNulls<Account>({ ...row, hidesPresence: Boolean(row.hidesPresence) })
    },
    findSession: async (sessionId) =>
      (await query<OwnedSession>('find_session', sql.findSession, [sessionId]))[0],
    lastLoginFrom: async (username, addresses) => {
      const logins = addresses.map((address) =>
        query<{ ms: number }>('last_login', sql.lastLogin, [username, address]),
      )
      const found = (await Promise.all(logins)).flat().map(({ ms }) => ms)
      return found.length > 0 ? Math.max(...found) : undefined
    },
    listTokens: async (accountId) => {
      const rows = await query<Row<ApplicationToken>>('list_tokens', sql.listTokens, [accountId])
      return rows.map(withoutNulls<ApplicationToken>)
    },
    findToken: async (hash) => {
      const [row] = await query<Row<OwnedToken>>('find_token', sql.findToken, [hash])
      return row && withoutNulls<OwnedToken>(row)
    },
    isBlocked: async (accountId, blockedId) =>
      (await query('is_blocked', sql.isBlocked, [accountId, blockedId])).length > 0,
    listBlocks: (accountId) => query<Block>('list_blocks', sql.listBlocks, [accountId]),
    countInbox: async (accountId, { sessionId, atLeast }) => {
      const [row] = await query<InboxCounters>('count_inbox', sql.countInbox, [accountId, sessionId, atLeast])
      if (!row) throw new Error(`There is no account ${accountId}.`)
      return row
    },
    listSessions: async (accountId, nowMs) => {
      const rows = await query<SessionRow>('list_sessions', sql.listSessions, [accountId, nowMs])
      return rows.map((row) => withoutNulls<ListedSession>({ ...row, isElsewhere: Boolean(row.isElsewhere) }))
    },
    listPushSubscriptions: (accountId) =>
      query<ListedSubscription>('list_push_subscriptions', sql.listPushSubscriptions, [accountId]),
    listAccounts: (afterId, limit, nowMs) =>
      listed('list_accounts', sql.listAccounts, [nowMs, afterId, limit]),
    findListedAccount: async (username, nowMs) =>
      (await listed('find_listed_account', sql.findListedAccount, [nowMs, username]))[0],
    isInviteValid: async (hash, nowMs) =>
      (await query('is_invite_valid', sql.isInviteValid, [hash, nowMs])).length > 0,
    listInvites: async () =>
      (await query<Row<Invite>>('list_invites', sql.listInvites, [])).map(withoutNulls<Invite>),
    ping: async () => {
      await query('ping', 'SELECT 1 FROM account LIMIT 1', [])
    },
  } satisfies Partial<Database>
}

function toListedAccount({ newest, acknowledged, unread, ...row }: ListedAccountRow): ListedAccount {
  return { ...withoutNulls<Omit<ListedAccount, 'inbox'>>(row), inbox: { newest, acknowledged, unread } }
}

function statementsFor({ msOf, instantOf, larger, bytewise, newestSeq, receipts, isElsewhere }: Dialect) {
  /** How many numbers behind this one a restore has skipped. */
  const skippedBehind = (seq: string) => `
    (SELECT CAST(coalesce(sum(to_seq - ${larger}(from_seq - 1, ${seq})), 0) AS bigint)
       FROM restored_range WHERE account_id = inbox.id AND to_seq > ${seq})`

  /** By counters instead of messages, so a full inbox costs no more than an empty one. */
  const unread = `
    newest - read - ${skippedBehind('read')} - coalesce(taken_receipts - (
      SELECT receipts_before FROM message
       WHERE recipient_id = inbox.id AND seq > read ORDER BY seq LIMIT 1), 0)`

  const listedAccount = `
SELECT id, username, display_name AS "displayName", ${msOf('created_at')} AS "createdAtMs",
       ${msOf('last_seen_at')} AS "lastSeenAtMs", ${msOf('last_login_at')} AS "lastLoginAtMs",
       ${msOf('disabled_at')} AS "disabledAtMs",
       (SELECT count(*) FROM session
         WHERE account_id = inbox.id AND expires_at > ${instantOf('$1')}) AS sessions,
       newest, acknowledged_seq AS acknowledged, ${unread} AS unread,
       newest - purged_seq - ${skippedBehind('purged_seq')} AS stored
  FROM (SELECT account.*, ${newestSeq} AS newest, ${receipts} AS taken_receipts,
               ${larger}(acknowledged_seq, purged_seq) AS read
          FROM account WHERE deleted_at IS NULL) AS inbox`

  return {
    newestSeq: `SELECT ${newestSeq} AS newest FROM account WHERE id = $1`,

    findMessage: `
SELECT sender.username AS "from", recipient.username AS "to", ${msOf('sent_at')} AS "sentAtMs",
       CASE WHEN seq IS NULL THEN 'expired' WHEN seq <= recipient.acknowledged_seq THEN 'delivered'
            ELSE 'stored' END AS state
  FROM (SELECT seq, sender_id, recipient_id, sent_at FROM message WHERE id = $1
         UNION ALL
        SELECT NULL, sender_id, recipient_id, sent_at FROM expired_message WHERE id = $1) AS found
  JOIN account AS sender ON sender.id = sender_id
  JOIN account AS recipient ON recipient.id = recipient_id
 WHERE recipient.deleted_at IS NULL`,

    findAccount: `
SELECT id, username, display_name AS "displayName", password_hash AS "passwordHash",
       ${msOf('created_at')} AS "createdAtMs", ${msOf('last_seen_at')} AS "lastSeenAtMs",
       ${msOf('disabled_at')} AS "disabledAtMs", hides_presence AS "hidesPresence"
  FROM account WHERE username = $1 AND deleted_at IS NULL`,

    findSession: `
SELECT session.id, account_id AS "accountId", username, ${msOf('session.created_at')} AS "createdAtMs",
       ${msOf('expires_at')} AS "expiresAtMs", session.acknowledged_seq AS "acknowledgedSeq",
       offered_seq AS "offeredSeq"
  FROM session JOIN account ON account.id = account_id WHERE session.id = $1`,

    lastLogin: `
SELECT ${msOf('known_address.last_login_at')} AS ms
  FROM known_address JOIN account ON account.id = account_id
 WHERE username = $1 AND address = $2`,

    listTokens: `
SELECT id, name, ${msOf('created_at')} AS "createdAtMs", ${msOf('expires_at')} AS "expiresAtMs",
       ${msOf('last_used_at')} AS "lastUsedAtMs"
  FROM application_token WHERE account_id = $1 ORDER BY created_at, id ${bytewise}`,

    findToken: `
SELECT application_token.id, account_id AS "accountId", username, ${msOf('expires_at')} AS "expiresAtMs",
       ${msOf('last_used_at')} AS "lastUsedAtMs"
  FROM application_token JOIN account ON account.id = account_id
 WHERE hash = $1 AND deleted_at IS NULL AND disabled_at IS NULL`,

    isBlocked: 'SELECT 1 FROM block WHERE account_id = $1 AND blocked_id = $2',

    listBlocks: `
SELECT username, ${msOf('block.created_at')} AS "createdAtMs"
  FROM block JOIN account ON account.id = blocked_id
 WHERE account_id = $1 AND deleted_at IS NULL ORDER BY username ${bytewise}`,

    countInbox: `
SELECT newest, acknowledged, ${unread} AS unread
  FROM (SELECT id, ${newestSeq} AS newest, ${receipts} AS taken_receipts, acknowledged,
               ${larger}(acknowledged, purged_seq) AS read
          FROM account
         CROSS JOIN (SELECT ${larger}($3, coalesce((
                              SELECT acknowledged_seq FROM session WHERE session.id = $2), 0)) AS acknowledged
               ) AS own
         WHERE account.id = $1) AS inbox`,

    listSessions: `
SELECT id, label, ${msOf('created_at')} AS "createdAtMs", ${msOf('expires_at')} AS "expiresAtMs",
       ${msOf('last_seen_at')} AS "lastSeenAtMs", ${isElsewhere('session.id')} AS "isElsewhere"
  FROM session WHERE account_id = $1 AND expires_at > ${instantOf('$2')} ORDER BY created_at DESC, id`,

    listPushSubscriptions: `
SELECT id, endpoint, ${msOf('created_at')} AS "createdAtMs"
  FROM push_subscription WHERE account_id = $1 ORDER BY created_at, id ${bytewise}`,

    listAccounts: `${listedAccount} WHERE id > $2 ORDER BY id LIMIT $3`,
    findListedAccount: `${listedAccount} WHERE username = $2`,

    isInviteValid: `
SELECT 1 FROM invite
 WHERE hash = $1 AND used < uses AND (expires_at IS NULL OR expires_at > ${instantOf('$2')})`,

    listInvites: `
SELECT id, note, uses, used, ${msOf('created_at')} AS "createdAtMs", ${msOf('expires_at')} AS "expiresAtMs"
  FROM invite ORDER BY id`,
  }
}
