import type pg from 'pg'
import type { ClaimedHint, Database, ListedSubscription, Sleeper } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { msOf, polledElsewhere, timestampOf } from './fragments.ts'

const LIST_SUBSCRIPTIONS = `
SELECT id, endpoint, ${msOf('created_at')} AS "createdAtMs"
  FROM push_subscription WHERE account_id = $1 ORDER BY created_at, id COLLATE "C"`

/** One by one, so that the plan goes by the indexes however small the tables were when it was made. */
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

/** A row that another node has just claimed is seen as that has left it, and passed by. */
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

const OF_CLAIM = 'WHERE id = $1 AND claim = $2 AND hinted_seq = $3'

const EXTEND = `
UPDATE push_subscription SET hinted_until = ${timestampOf('$4::bigint')}, claim = $5 ${OF_CLAIM}
   AND (SELECT acknowledged_seq FROM session WHERE session.id = session_id) < $3`

const DROP = `UPDATE push_subscription SET hinted_seq = NULL, hinted_until = NULL, claim = NULL ${OF_CLAIM}`

const TAKE_BACK = `
UPDATE push_subscription
   SET hinted_seq = NULL, hinted_until = NULL, claim = NULL, used_at = ${timestampOf('$2::bigint')}
 WHERE session_id = $1`

type PushStatements = Pick<
  Database,
  'listPushSubscriptions' | 'findSleepers' | 'claimHints' | 'extendHint' | 'dropHint' | 'takeHintsBack'
>

/**
 * What reads push subscriptions, and what marks them.
 *
 * @param nodeId this node: its own polls are known here
 */
export function pushStatements(pool: pg.Pool, nodeId: string): PushStatements {
  return {
    listPushSubscriptions: async (accountId) =>
      (await pool.query<ListedSubscription>(LIST_SUBSCRIPTIONS, [accountId])).rows,
    findSleepers: async (usernames) => {
      const query = { name: 'find_sleepers', text: FIND_SLEEPERS, values: [usernames, nodeId] }
      return (await pool.query<Row<Sleeper>>(query)).rows.map(withoutNulls<Sleeper>)
    },
    claimHints: async (hints, claim, untilMs) => {
      const values = [JSON.stringify(hints), claim, untilMs]
      return (await pool.query<ClaimedHint>({ name: 'claim_hints', text: CLAIM, values })).rows
    },
    extendHint: async ({ id, seq, claim }, untilMs, keptClaim) =>
      (await pool.query(EXTEND, [id, claim, seq, untilMs, keptClaim])).rowCount === 1,
    dropHint: async ({ id, seq, claim }) => {
      await pool.query(DROP, [id, claim, seq])
    },
    takeHintsBack: async (sessionId, nowMs) => {
      await pool.query(TAKE_BACK, [sessionId, nowMs])
    },
  }
}
