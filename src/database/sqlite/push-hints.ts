import type SqliteFile from 'better-sqlite3'
import type { ClaimedHint, Database, DueHint, Sleeper } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { NEWEST_SEQ } from './inbox-expressions.ts'

/** SQLite has no other nodes. */
type SleeperHere = Omit<Sleeper, 'isElsewhere'>

/** Finds the subscriptions that may need a hint. */
export function sleeperReads(connection: SqliteFile.Database): Pick<Database, 'findSleepers'> {
  // Starts at the names: most of them have no subscription.
  const sleepersOf = connection.prepare<[usernames: string], Row<SleeperHere>>(
    `SELECT push_subscription.id, account.id AS accountId, username, session_id AS sessionId,
            session.acknowledged_seq AS acknowledgedSeq, ${NEWEST_SEQ} AS newestSeq,
            hinted_seq AS hintedSeq, hinted_until AS hintedUntilMs, claim
       FROM json_each(?) AS asked
      CROSS JOIN account ON username = asked.value
      CROSS JOIN push_subscription ON push_subscription.account_id = account.id
      CROSS JOIN session ON session.id = session_id`,
  )

  return {
    findSleepers: async (usernames) =>
      sleepersOf
        .all(JSON.stringify(usernames))
        .map((row) => ({ ...withoutNulls<SleeperHere>(row), isElsewhere: false })),
  }
}

/** Claims hints, on the writer's connection. */
export function hintClaims(connection: SqliteFile.Database): Pick<Database, 'claimHints'> {
  const claim = connection.prepare<
    { id: string; seq: number; foundUntilMs: number | null; claim: string; untilMs: number },
    ClaimedHint
  >(
    `UPDATE push_subscription SET hinted_seq = @seq, hinted_until = @untilMs, claim = @claim
      WHERE id = @id AND hinted_until IS @foundUntilMs
      RETURNING id, hinted_seq AS seq, endpoint, p256dh, auth, key_id AS keyId`,
  )
  const claimAll = connection.transaction((hints: DueHint[], claimedBy: string, untilMs: number) =>
    hints.flatMap(({ id, seq, foundUntilMs = null }) => {
      const claimed = claim.get({ id, seq, foundUntilMs, claim: claimedBy, untilMs })
      return claimed ? [claimed] : []
    }),
  )
  return { claimHints: async (...args) => claimAll.immediate(...args) }
}
