import type SqliteFile from 'better-sqlite3'
import type { ClaimedHint, Database, DueHint, ListedSubscription, Sleeper } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { NEWEST_SEQ } from './inboxes.ts'

type SleeperReads = Pick<Database, 'listPushSubscriptions' | 'findSleepers'>
type ClaimVerbs = Pick<Database, 'claimHints' | 'extendHint' | 'dropHint' | 'takeHintsBack'>

/** Here nobody polls another node. */
type SleeperHere = Omit<Sleeper, 'isElsewhere'>

/** What is read of push subscriptions. */
export function sleeperReads(connection: SqliteFile.Database): SleeperReads {
  const subscriptionsOf = connection.prepare<[accountId: number], ListedSubscription>(
    `SELECT id, endpoint, created_at AS createdAtMs
       FROM push_subscription WHERE account_id = ? ORDER BY created_at, id`,
  )
  // From the names on: of most of them nobody has a subscription.
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
    listPushSubscriptions: async (accountId) => subscriptionsOf.all(accountId),
    findSleepers: async (usernames) =>
      sleepersOf
        .all(JSON.stringify(usernames))
        .map((row) => ({ ...withoutNulls<SleeperHere>(row), isElsewhere: false })),
  }
}

/** What marks them, on the writer's connection. */
export function claimVerbs(connection: SqliteFile.Database): ClaimVerbs {
  const claim = connection.prepare<
    { id: string; seq: number; foundUntilMs: number | null; claim: string; untilMs: number },
    ClaimedHint
  >(
    `UPDATE push_subscription SET hinted_seq = @seq, hinted_until = @untilMs, claim = @claim
      WHERE id = @id AND hinted_until IS @foundUntilMs
      RETURNING id, hinted_seq AS seq, endpoint, p256dh, auth, key_id AS keyId`,
  )
  const extend = connection.prepare<{
    id: string
    seq: number
    claim: string
    untilMs: number
    keptClaim: string | null
  }>(
    `UPDATE push_subscription SET hinted_until = @untilMs, claim = @keptClaim
      WHERE id = @id AND claim = @claim AND hinted_seq = @seq
        AND (SELECT acknowledged_seq FROM session WHERE id = session_id) < @seq`,
  )
  const drop = connection.prepare<{ id: string; seq: number; claim: string }>(
    `UPDATE push_subscription SET hinted_seq = NULL, hinted_until = NULL, claim = NULL
      WHERE id = @id AND claim = @claim AND hinted_seq = @seq`,
  )
  const takeBack = connection.prepare<[nowMs: number, sessionId: string]>(
    `UPDATE push_subscription SET hinted_seq = NULL, hinted_until = NULL, claim = NULL, used_at = ?
      WHERE session_id = ?`,
  )
  const claimAll = connection.transaction((hints: DueHint[], claimedBy: string, untilMs: number) =>
    hints.flatMap(({ id, seq, foundUntilMs = null }) => {
      const claimed = claim.get({ id, seq, foundUntilMs, claim: claimedBy, untilMs })
      return claimed ? [claimed] : []
    }),
  )

  return {
    claimHints: async (...args) => claimAll.immediate(...args),
    extendHint: async (mark, untilMs, keptClaim) =>
      extend.run({ ...mark, untilMs, keptClaim: keptClaim ?? null }).changes === 1,
    dropHint: async (mark) => void drop.run(mark),
    takeHintsBack: async (sessionId, nowMs) => void takeBack.run(nowMs, sessionId),
  }
}
