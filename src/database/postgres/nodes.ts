import type pg from 'pg'
import type { ParkedStatus, SessionOfAccount, SharedDatabase } from '../shared-database.ts'
import { ALIVE, isOther, NOW, onlineElsewhere } from './fragments.ts'

const BEAT = `
WITH alive AS (
  INSERT INTO node (id, alive_until) VALUES ($1, ${NOW} + ${ALIVE})
  ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
)
SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms, pg_notify($2, 'probe ' || $1)`

/** Waits for a session that is being ended, and then ignores it. */
const ADD_PRESENCE = `
INSERT INTO presence (session_id, node_id)
SELECT id, $2 FROM session WHERE id = ANY ($1::text[]) ORDER BY id FOR KEY SHARE
    ON CONFLICT DO NOTHING`

/** Locked rows are being removed with their sessions. */
const REMOVE_PRESENCE = `
DELETE FROM presence
 WHERE node_id = $2 AND session_id IN (
   SELECT session_id FROM presence
    WHERE session_id = ANY ($1::text[]) AND node_id = $2 FOR UPDATE SKIP LOCKED)`

const IS_ONLINE = `SELECT ${onlineElsewhere('account.id', '$2')} AS online FROM account WHERE username = $1`

/** Counts every node: no id is empty. */
const COUNT_ONLINE = `
SELECT count(DISTINCT account_id) AS online
  FROM session JOIN presence ON session_id = session.id JOIN node ON node.id = node_id
 WHERE ${isOther("''")}`

const CHECK_PARKED = `
SELECT session.id IS NOT NULL AS alive, newest_seq AS "newestSeq"
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS parked (session_id, username, n)
  LEFT JOIN LATERAL (
    SELECT newest_seq FROM account WHERE username = parked.username LIMIT 1
  ) AS account ON true
  LEFT JOIN LATERAL (SELECT id FROM session WHERE id = parked.session_id LIMIT 1) AS session ON true
 ORDER BY n`

/** The verbs for nodes that share this database. */
export function nodeVerbs(pool: pg.Pool, nodeId: string, channel: string) {
  /** The database's time when the monotonic clock of this process was 0, from the first beat on. */
  let originMs = performance.timeOrigin
  return {
    clock: () => Math.floor(originMs + performance.now()),
    beat: async () => {
      const askedMs = performance.now()
      const { rows } = await pool.query<{ now_ms: number }>(BEAT, [nodeId, channel])
      const nowMs = rows[0]?.now_ms as number
      // `nowMs` was true at some moment between query and response. A clock within that interval is not
      // changed.
      originMs = Math.min(Math.max(originMs, nowMs - performance.now()), nowMs - askedMs)
    },
    leave: async () => {
      await pool.query('DELETE FROM node WHERE id = $1', [nodeId])
    },
    addPresence: async (sessionIds) => {
      await pool.query(ADD_PRESENCE, [sessionIds, nodeId])
    },
    removePresence: async (sessionIds) => {
      await pool.query(REMOVE_PRESENCE, [sessionIds, nodeId])
    },
    isOnline: async (username) => {
      const { rows } = await pool.query<{ online: boolean }>(IS_ONLINE, [username, nodeId])
      return rows[0]?.online ?? false
    },
    countOnline: async () => {
      const { rows } = await pool.query<{ online: number }>(COUNT_ONLINE)
      return rows[0]?.online ?? 0
    },
    checkParked: async (sessions: SessionOfAccount[]): Promise<ParkedStatus[]> => {
      const values = [sessions.map(({ id }) => id), sessions.map(({ username }) => username)]
      return (await pool.query<ParkedStatus>({ name: 'check_parked', text: CHECK_PARKED, values })).rows
    },
  } satisfies Partial<SharedDatabase>
}
