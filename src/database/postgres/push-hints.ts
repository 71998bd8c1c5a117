import type pg from 'pg'
import type { ClaimedHint, Database, Sleeper } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { msOf, polledElsewhere, timestampOf } from './fragments.ts'

/** One by one (LATERAL), so that the plan uses the indexes even if the tables were small when it was made. */
const FIND_SLEEPERS = `
SELECT found.id, account.id AS "accountId", account.username, session_id AS "sessionId",
       session.acknowledged_seq AS "acknowledgedSeq", newest_seq AS "newestSeq",
       ${polledElsewhere('session_id', '$2')} AS "isElsewhere", hinted_seq AS "hintedSeq",
       ${msOf('hinted_until')} AS "hintedUntilMs", claim
  FROM unnest($1::text[]) AS asked (username)
 CROSS JOIN LATERAL (
   SELECT id, username, newest_seq FROM account WHERE username = asked.username LIMIT 1
 ) AS account
 CROSS JOIN LATERAL (
   SELECT * FROM push_subscription WHERE account_id = account.id LIMIT 100
 ) AS found
 CROSS JOIN LATERAL (SELECT acknowledged_seq FROM session WHERE id = session_id LIMIT 1) AS session`

/** A row that another node has just claimed no longer matches and is skipped. */
const CLAIM = `
WITH due AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1) AS _ (id text, seq bigint, "foundUntilMs" bigint)
), mine AS MATERIALIZED (
  SELECT id FROM push_subscription WHERE id = ANY (ARRAY(SELECT id FROM due)) ORDER BY id FOR NO KEY UPDATE
)
UPDATE push_subscription SET hinted_seq = seq, hinted_until = ${timestampOf('$3::bigint')}, claim = $2
  FROM due JOIN mine USING (id)
 WHERE push_subscription.id = due.id
   AND push_subscription.id = ANY (ARRAY(SELECT id FROM due))
   AND hinted_until IS NOT DISTINCT FROM ${timestampOf('"foundUntilMs"')}
RETURNING push_subscription.id, seq, endpoint, p256dh, auth, key_id AS "keyId"`

/**
 * Finds the subscriptions that may need a hint, and claims hints.
 *
 * @param nodeId this node: its own polls are known here
 */
export function pushHints(pool: pg.Pool, nodeId: string): Pick<Database, 'findSleepers' | 'claimHints'> {
  return {
    findSleepers: async (usernames) => {
      const query = { name: 'find_sleepers', text: FIND_SLEEPERS, values: [usernames, nodeId] }
      return (await pool.query<Row<Sleeper>>(query)).rows.map(withoutNulls<Sleeper>)
    },
    claimHints: async (hints, claim, untilMs) => {
      const values = [JSON.stringify(hints), claim, untilMs]
      return (await pool.query<ClaimedHint>({ name: 'claim_hints', text: CLAIM, values })).rows
    },
  }
}
