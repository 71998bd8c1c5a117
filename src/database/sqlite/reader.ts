import type SqliteFile from 'better-sqlite3'
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
  RECEIPT_MESSAGES_MAX,
  type ReadFrom,
} from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { uuidToBytes } from '../uuid.ts'
import { administrationReads } from './administration-reads.ts'
import { openStatements } from './connection.ts'
import { NEWEST_SEQ, RECEIPTS } from './inboxes.ts'
import type { PackedPage } from './packed-page.ts'
import { sleeperReads } from './push-statements.ts'

type RowVerbs = Pick<
  Database,
  | 'newestSeq'
  | 'findMessage'
  | 'findSession'
  | 'findAccount'
  | 'lastLoginFrom'
  | 'listTokens'
  | 'findToken'
  | 'isBlocked'
  | 'listBlocks'
  | 'countInbox'
  | 'listSessions'
  | 'ping'
>

export type ReadVerbs = RowVerbs &
  ReturnType<typeof administrationReads> &
  ReturnType<typeof sleeperReads> & {
    readInbox: (...args: Parameters<Database['readInbox']>) => Promise<PackedPage>
  }

/** Bytes of the longest receipt in a page: a page ends where such receipts would fill it. */
const RECEIPT_BYTES_MAX = RECEIPT_MESSAGES_MAX * RECEIPT_ID_BYTES

const NO_MESSAGES = { seqs: '', ids: '', senders: '', bodies: '', sentAtMs: '', receipts: null }

type Columns = Pick<PackedPage, 'seqs' | 'ids' | 'senders' | 'bodies' | 'sentAtMs' | 'receipts'>

/** On SQLite there are no other nodes. */
type SessionHere = Omit<ListedSession, 'isElsewhere'>

/** Opens a connection that reads beside the writer's, each time from a snapshot of what is committed. */
export function openReader(path: string) {
  const connection = openStatements(path)
  connection.pragma('query_only = ON')
  const close = async () => void connection.close()
  return { verbs: { ...readVerbs(connection), close }, before: () => {}, after: () => {} }
}

function readVerbs(connection: SqliteFile.Database): ReadVerbs {
  const countersOf = connection.prepare<[accountId: number], { newest: number; acknowledged: number }>(
    `SELECT ${NEWEST_SEQ} AS newest, acknowledged_seq AS acknowledged FROM account WHERE id = ?`,
  )
  const acknowledgedBy = connection
    .prepare<[sessionId: string], number>('SELECT acknowledged_seq FROM session WHERE id = ?')
    .pluck()
  const firstAfter = connection.prepare<
    [accountId: number, after: number],
    { bytesBefore: number; receiptsBefore: number }
  >(
    `SELECT bytes_before AS bytesBefore, receipts_before AS receiptsBefore
       FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq LIMIT 1`,
  )
  // A subquery with a limit is not merged into the outer one, so the values keep its order. Texts beyond the
  // page are not read: a long one has pages of the file to itself.
  const messagesAfter = connection.prepare<
    [bytesEnd: number, receiptsEnd: number, accountId: number, after: number, limit: number],
    Columns
  >(
    `SELECT group_concat(seq) AS seqs, lower(group_concat(hex(id), '')) AS ids,
            group_concat(sender_id) AS senders, group_concat(body, char(0)) AS bodies,
            group_concat(sent_at) AS sentAtMs,
            lower(group_concat(iif(receipt_for IS NULL, NULL, seq || ':' || hex(receipt_for)))) AS receipts
       FROM (SELECT seq, id, sender_id, sent_at, receipt_for,
                    CASE WHEN bytes_before < ? AND receipts_before < ? THEN body END AS body
               FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq LIMIT ? + 0)
      WHERE body IS NOT NULL`,
  )
  const nameOf = connection
    .prepare<[accountId: string], string>('SELECT username FROM account WHERE id = ?')
    .pluck()
  const restoredAfter = connection
    .prepare<[accountId: number, after: number], number>(
      'SELECT min(from_seq) FROM restored_range WHERE account_id = ? AND to_seq > ?',
    )
    .pluck()

  const hintedSession = connection.prepare<[sessionId: string]>(
    'SELECT 1 FROM push_subscription WHERE session_id = ? AND hinted_until IS NOT NULL',
  )

  const readInbox = connection.transaction(
    (accountId: number, from: ReadFrom, size: PageSize, hintedSessionId?: string): PackedPage => {
      const counters = countersOf.get(accountId)
      if (!counters) throw new Error(`There is no account ${accountId}.`)
      const after = startOf(from, counters.acknowledged)
      const restoredFrom = restoredAfter.get(accountId, after) ?? undefined
      const messages = messagesBehind(accountId, after, size)
      const wasHinted = hintedSessionId !== undefined && hintedSession.get(hintedSessionId) !== undefined
      return { after, ...messages, newestSeq: counters.newest, restoredFrom, wasHinted }
    },
  )

  function startOf(from: ReadFrom, acknowledged: number): number {
    if (typeof from === 'number') return from
    return from === 'acknowledged'
      ? acknowledged
      : Math.max(from.atLeast, acknowledgedBy.get(from.sessionId) ?? 0)
  }

  function messagesBehind(accountId: number, after: number, size: PageSize): Columns {
    const first = firstAfter.get(accountId, after)
    if (!first) return NO_MESSAGES
    const bytesEnd = first.bytesBefore + size.bytes
    const receiptsEnd = first.receiptsBefore + Math.ceil(size.bytes / RECEIPT_BYTES_MAX)
    const columns = messagesAfter.get(bytesEnd, receiptsEnd, accountId, after, size.messages) as Columns
    return { ...columns, senders: namesOf(columns.senders.split(',')).join() }
  }

  /** Most messages of a page are from few senders. Looking each one up takes a third of the page time. */
  function namesOf(accountIds: string[]): string[] {
    const names = new Map([...new Set(accountIds)].map((id) => [id, nameOf.get(id)]))
    return accountIds.map((id) => names.get(id) as string)
  }

  const messageById = connection.prepare<{ id: Uint8Array }, Omit<MessageRecord, 'id'>>(
    `SELECT sender.username AS "from", recipient.username AS "to", sent_at AS sentAtMs, state
       FROM (
         SELECT sender_id, recipient_id, sent_at,
                iif(seq <= acknowledged_seq, 'delivered', 'stored') AS state
           FROM message JOIN account ON account.id = recipient_id WHERE message.id = @id
          UNION ALL
         SELECT sender_id, recipient_id, sent_at, 'expired' FROM expired_message WHERE id = @id)
       JOIN account AS sender ON sender.id = sender_id
       JOIN account AS recipient ON recipient.id = recipient_id
      WHERE recipient.deleted_at IS NULL`,
  )
  const sessionById = connection.prepare<[id: string], OwnedSession>(
    `SELECT session.id, account_id AS accountId, username, session.created_at AS createdAtMs,
            expires_at AS expiresAtMs, session.acknowledged_seq AS acknowledgedSeq, offered_seq AS offeredSeq
       FROM session JOIN account ON account.id = account_id WHERE session.id = ?`,
  )
  const tokensOf = connection.prepare<[accountId: number], Row<ApplicationToken>>(
    `SELECT id, name, created_at AS createdAtMs, expires_at AS expiresAtMs, last_used_at AS lastUsedAtMs
       FROM application_token WHERE account_id = ? ORDER BY created_at, id`,
  )
  const tokenByHash = connection.prepare<[hash: Uint8Array], Row<OwnedToken>>(
    `SELECT application_token.id, account_id AS accountId, username, expires_at AS expiresAtMs,
            last_used_at AS lastUsedAtMs
       FROM application_token JOIN account ON account.id = account_id
      WHERE hash = ? AND deleted_at IS NULL AND disabled_at IS NULL`,
  )
  const accountByName = connection.prepare<
    [username: string],
    Row<Omit<Account, 'hidesPresence'>> & { hidesPresence: number }
  >(
    `SELECT id, username, display_name AS displayName, password_hash AS passwordHash,
            created_at AS createdAtMs, last_seen_at AS lastSeenAtMs, disabled_at AS disabledAtMs,
            hides_presence AS hidesPresence
       FROM account WHERE username = ? AND deleted_at IS NULL`,
  )
  const lastLogin = connection
    .prepare<[username: string, address: Uint8Array], number>(
      `SELECT known_address.last_login_at FROM known_address JOIN account ON account.id = account_id
        WHERE username = ? AND address = ?`,
    )
    .pluck()
  const blockOf = connection.prepare<[accountId: number, blockedId: number]>(
    'SELECT 1 FROM block WHERE account_id = ? AND blocked_id = ?',
  )
  const blocksOf = connection.prepare<[accountId: number], Block>(
    `SELECT username, block.created_at AS createdAtMs
       FROM block JOIN account ON account.id = blocked_id
      WHERE account_id = ? AND deleted_at IS NULL ORDER BY username`,
  )
  const inboxOf = connection.prepare<
    { accountId: number; sessionId: string; atLeast: number },
    InboxCounters
  >(
    `SELECT ${NEWEST_SEQ} AS newest, own.acknowledged, ${NEWEST_SEQ} - own.read - coalesce((
              SELECT sum(to_seq - max(from_seq - 1, own.read)) FROM restored_range
               WHERE account_id = account.id AND to_seq > own.read), 0) - coalesce(${RECEIPTS} - (
              SELECT receipts_before FROM message
               WHERE recipient_id = account.id AND seq > own.read ORDER BY seq LIMIT 1), 0) AS unread
       FROM account
       JOIN (SELECT acknowledged, max(acknowledged, purged_seq) AS read
               FROM (SELECT purged_seq, max(@atLeast, coalesce((
                              SELECT acknowledged_seq FROM session WHERE id = @sessionId), 0)) AS acknowledged
                       FROM account WHERE id = @accountId)) AS own
      WHERE id = @accountId`,
  )
  const sessionsOf = connection.prepare<[accountId: number, nowMs: number], Row<SessionHere>>(
    `SELECT id, label, created_at AS createdAtMs, expires_at AS expiresAtMs, last_seen_at AS lastSeenAtMs
       FROM session WHERE account_id = ? AND expires_at > ? ORDER BY created_at DESC, id`,
  )
  const anyAccount = connection.prepare('SELECT 1 FROM account LIMIT 1')

  return {
    ...administrationReads(connection),
    ...sleeperReads(connection),
    readInbox: async (...args) => readInbox(...args),
    newestSeq: async (accountId) => countersOf.get(accountId)?.newest ?? 0,
    findMessage: async (messageId): Promise<MessageRecord | undefined> => {
      const row = messageById.get({ id: uuidToBytes(messageId) })
      return row && { id: messageId.toLowerCase(), ...row }
    },
    findSession: async (sessionId) => sessionById.get(sessionId),
    findAccount: async (username) => {
      const row = accountByName.get(username)
      return row && withoutNulls<Account>({ ...row, hidesPresence: row.hidesPresence === 1 })
    },
    lastLoginFrom: async (username, addresses) => {
      const found = addresses.flatMap((address) => lastLogin.get(username, address) ?? [])
      return found.length > 0 ? Math.max(...found) : undefined
    },
    listTokens: async (accountId) => tokensOf.all(accountId).map(withoutNulls<ApplicationToken>),
    findToken: async (hash) => {
      const row = tokenByHash.get(hash)
      return row && withoutNulls<OwnedToken>(row)
    },
    isBlocked: async (accountId, blockedId) => blockOf.get(accountId, blockedId) !== undefined,
    listBlocks: async (accountId) => blocksOf.all(accountId),
    countInbox: async (accountId, session) => {
      const counters = inboxOf.get({ accountId, ...session })
      if (!counters) throw new Error(`There is no account ${accountId}.`)
      return counters
    },
    listSessions: async (accountId, nowMs) =>
      sessionsOf
        .all(accountId, nowMs)
        .map((row) => ({ ...withoutNulls<SessionHere>(row), isElsewhere: false })),
    ping: async () => void anyAccount.get(),
  }
}
