import type { Database } from './database.ts'
import type { Dialect, Query } from './dialect.ts'

/** A subscription without these three was not hinted since its session has read. */
const CLEARED = 'hinted_seq = NULL, hinted_until = NULL, claim = NULL'

const OF_CLAIM = 'WHERE id = $1 AND claim = $2 AND hinted_seq = $3'

/** Extends and clears the marks of push hints, by statements that are the same on both databases. */
export function hintMarks(
  query: Query,
  { instantOf }: Dialect,
): Pick<Database, 'extendHint' | 'dropHint' | 'takeHintsBack'> {
  const extend = `
UPDATE push_subscription SET hinted_until = ${instantOf('$4')}, claim = $5 ${OF_CLAIM}
   AND (SELECT acknowledged_seq FROM session WHERE session.id = session_id) < $3 RETURNING id`
  const drop = `UPDATE push_subscription SET ${CLEARED} ${OF_CLAIM} RETURNING id`
  const takeBack = `
UPDATE push_subscription SET ${CLEARED}, used_at = ${instantOf('$2')} WHERE session_id = $1 RETURNING id`

  return {
    extendHint: async ({ id, seq, claim }, untilMs, keptClaim) => {
      const values = [id, claim, seq, untilMs, keptClaim ?? null]
      return (await query('extend_hint', extend, values)).length === 1
    },
    dropHint: async ({ id, seq, claim }) => {
      await query('drop_hint', drop, [id, claim, seq])
    },
    takeHintsBack: async (sessionId, nowMs) => {
      await query('take_hints_back', takeBack, [sessionId, nowMs])
    },
  }
}
