import type SqliteFile from 'better-sqlite3'
import type { Database, OwnedSession } from '../database.ts'

/**
 * Finds a session by its id. After a restart every client comes back with its token in the same minute, and
 * through the ORM that took most of the time of its first request.
 */
export function findSessionVerb(connection: SqliteFile.Database): Pick<Database, 'findSession'> {
  const sessionById = connection.prepare<[id: string], OwnedSession>(
    `SELECT session.id, account_id AS accountId, username, session.created_at AS createdAtMs,
            expires_at AS expiresAtMs, session.acknowledged_seq AS acknowledgedSeq, offered_seq AS offeredSeq
       FROM session JOIN account ON account.id = account_id WHERE session.id = ?`,
  )
  return { findSession: async (sessionId) => sessionById.get(sessionId) }
}
