import type SqliteFile from 'better-sqlite3'
import { LRUCache } from 'lru-cache'
import type {
  Account,
  Block,
  Database,
  MessageRecord,
  OwnedSession,
  PageSize,
  ReadFrom,
} from '../database.ts'
import { uuidToBytes } from '../uuid.ts'
import { openStatements } from './connection.ts'
import { NEWEST_SEQ } from './inboxes.ts'
import type { PackedPage } from './packed-page.ts'

type RowVerbs = Pick<
  Database,
  | 'newestSeq'
  | 'findMessage'
  | 'findSession'
  | 'findAccount'
  | 'lastLoginFrom'
  | 'isBlocked'
  | 'listBlocks'
  | 'ping'
>

export type ReadVerbs = RowVerbs & {
  readInbox: (...args: Parameters<Database['readInbox']>) => Promise<PackedPage>
}

/** Senders whose names are remembered, because to look for each takes a third of the time of a page. */
const SENDERS_MAX = 10_000

type MessageRow = [seq: number, id: Buffer, senderId: number, body: string, sentAtMs: number, bytes: number]

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
  // As arrays: SQLite's rows take half as long as they do as objects.
  const messagesAfter = connection
    .prepare<[accountId: number, after: number], MessageRow>(
      `SELECT seq, id, sender_id, body, sent_at, octet_length(body)
         FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq`,
    )
    .raw()
  const senderNames = new LRUCache<number, string>({ max: SENDERS_MAX })
  const findName = connection
    .prepare<[accountId: number], string>('SELECT username FROM account WHERE id = ?')
    .pluck()
  const restoredAfter = connection
    .prepare<[accountId: number, after: number], number>(
      'SELECT min(from_seq) FROM restored_range WHERE account_id = ? AND to_seq > ?',
    )
    .pluck()

  const readInbox = connection.transaction(
    (accountId: number, from: ReadFrom, size: PageSize): PackedPage => {
      const counters = countersOf.get(accountId)
      if (!counters) throw new Error(`There is no account ${accountId}.`)
      const after = startOf(from, counters.acknowledged)
      const restoredFrom = restoredAfter.get(accountId, after) ?? undefined
      return { after, ...messagesBehind(accountId, after, size), newestSeq: counters.newest, restoredFrom }
    },
  )

  function startOf(from: ReadFrom, acknowledged: number): number {
    if (typeof from === 'number') return from
    return from === 'acknowledged'
      ? acknowledged
      : Math.max(from.atLeast, acknowledgedBy.get(from.sessionId) ?? 0)
  }

  function messagesBehind(accountId: number, after: number, size: PageSize) {
    const seqs: number[] = []
    const ids: Buffer[] = []
    const senders: string[] = []
    const bodies: string[] = []
    const sentAtMs: number[] = []
    let bytesRead = 0
    for (const [seq, id, senderId, body, sentMs, bytes] of messagesAfter.iterate(accountId, after)) {
      seqs.push(seq)
      ids.push(id)
      senders.push(nameOf(senderId))
      bodies.push(body)
      sentAtMs.push(sentMs)
      bytesRead += bytes
      if (seqs.length >= size.messages || bytesRead >= size.bytes) break
    }
    return { seqs, ids: Buffer.concat(ids), senders, bodies, sentAtMs }
  }

  /** It stays the same for ever, also when the account is gone. */
  function nameOf(accountId: number): string {
    const known = senderNames.get(accountId)
    if (known !== undefined) return known
    const name = findName.get(accountId) as string
    senderNames.set(accountId, name)
    return name
  }

  const messageById = connection.prepare<
    [id: Uint8Array],
    { from: string; to: string; sentAtMs: number; acknowledged: number }
  >(
    `SELECT sender.username AS "from", recipient.username AS "to", sent_at AS sentAtMs,
            seq <= recipient.acknowledged_seq AS acknowledged
       FROM message
       JOIN account AS sender ON sender.id = sender_id
       JOIN account AS recipient ON recipient.id = recipient_id
      WHERE message.id = ? AND recipient.deleted_at IS NULL`,
  )
  const sessionById = connection.prepare<[id: string], OwnedSession>(
    `SELECT session.id, account_id AS accountId, username, session.created_at AS createdAtMs,
            expires_at AS expiresAtMs, session.acknowledged_seq AS acknowledgedSeq, offered_seq AS offeredSeq
       FROM session JOIN account ON account.id = account_id WHERE session.id = ?`,
  )
  const accountByName = connection.prepare<[username: string], Account & { lastSeenAtMs: number | null }>(
    `SELECT id, username, display_name AS displayName, password_hash AS passwordHash,
            created_at AS createdAtMs, last_seen_at AS lastSeenAtMs
       FROM account WHERE username = ? AND deleted_at IS NULL`,
  )
  const lastLogin = connection
    .prepare<[username: string, address: Uint8Array], number>(
      `SELECT last_login_at FROM known_address JOIN account ON account.id = account_id
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
  const anyAccount = connection.prepare('SELECT 1 FROM account LIMIT 1')

  return {
    readInbox: async (accountId, from, size) => readInbox(accountId, from, size),
    newestSeq: async (accountId) => countersOf.get(accountId)?.newest ?? 0,
    findMessage: async (messageId): Promise<MessageRecord | undefined> => {
      const row = messageById.get(uuidToBytes(messageId))
      return row && { ...row, id: messageId.toLowerCase(), acknowledged: row.acknowledged === 1 }
    },
    findSession: async (sessionId) => sessionById.get(sessionId),
    findAccount: async (username) => {
      const row = accountByName.get(username)
      return row && { ...row, lastSeenAtMs: row.lastSeenAtMs ?? undefined }
    },
    lastLoginFrom: async (username, addresses) => {
      const found = addresses.flatMap((address) => lastLogin.get(username, address) ?? [])
      return found.length > 0 ? Math.max(...found) : undefined
    },
    isBlocked: async (accountId, blockedId) => blockOf.get(accountId, blockedId) !== undefined,
    listBlocks: async (accountId) => blocksOf.all(accountId),
    ping: async () => void anyAccount.get(),
  }
}
