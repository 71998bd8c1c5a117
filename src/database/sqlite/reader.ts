import type SqliteFile from 'better-sqlite3'
import type {
  Account,
  Block,
  Database,
  MessageRecord,
  OwnedSession,
  Page,
  PageSize,
  ReadFrom,
  StoredMessage,
} from '../database.ts'
import { bytesToUuid, bytesToUuids, RECEIPT_BYTES, uuidToBytes } from '../uuid.ts'
import { openStatements } from './connection.ts'
import { NEWEST_SEQ } from './inboxes.ts'

export type ReadVerbs = Pick<
  Database,
  | 'readInbox'
  | 'newestSeq'
  | 'findMessage'
  | 'findSession'
  | 'findAccount'
  | 'lastLoginFrom'
  | 'isBlocked'
  | 'listBlocks'
  | 'ping'
>

interface MessageRow extends Omit<StoredMessage, 'id' | 'receiptFor'> {
  id: Buffer
  receiptFor: Buffer | null
  bytes: number
}

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
  const messagesAfter = connection.prepare<[accountId: number, after: number], MessageRow>(
    `SELECT seq, message.id, username AS "from", body, sent_at AS sentAtMs, receipt_for AS receiptFor,
            octet_length(body) + ${RECEIPT_BYTES} AS bytes
       FROM message JOIN account ON account.id = sender_id
      WHERE recipient_id = ? AND seq > ? ORDER BY seq`,
  )
  const restoredAfter = connection
    .prepare<[accountId: number, after: number], number>(
      'SELECT min(from_seq) FROM restored_range WHERE account_id = ? AND to_seq > ?',
    )
    .pluck()

  const readInbox = connection.transaction((accountId: number, from: ReadFrom, size: PageSize): Page => {
    const counters = countersOf.get(accountId)
    if (!counters) throw new Error(`There is no account ${accountId}.`)
    const after = startOf(from, counters.acknowledged)
    const messages = messagesBehind(accountId, after, size)
    const restoredFrom = restoredAfter.get(accountId, after) ?? undefined
    return { after, messages, newestSeq: counters.newest, restoredFrom }
  })

  function startOf(from: ReadFrom, acknowledged: number): number {
    if (typeof from === 'number') return from
    return from === 'acknowledged'
      ? acknowledged
      : Math.max(from.atLeast, acknowledgedBy.get(from.sessionId) ?? 0)
  }

  function messagesBehind(accountId: number, after: number, size: PageSize): StoredMessage[] {
    const messages: StoredMessage[] = []
    let bytesRead = 0
    for (const row of messagesAfter.iterate(accountId, after)) {
      const { seq, from, body, sentAtMs } = row
      const receiptFor = row.receiptFor === null ? undefined : bytesToUuids(row.receiptFor)
      messages.push({ seq, id: bytesToUuid(row.id), from, body, sentAtMs, receiptFor })
      bytesRead += row.bytes
      if (messages.length >= size.messages || bytesRead >= size.bytes) break
    }
    return messages
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
      const row = messageById.get({ id: uuidToBytes(messageId) })
      return row && { id: messageId.toLowerCase(), ...row }
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
