/** Fragments of SQL that several statements share. */
import { ALIVE_MS } from '../shared-database.ts'

/** Instants are kept as Prisma writes them: in UTC, without a zone. */
export const timestampOf = (ms: string) => `to_timestamp(${ms} / 1000.0) AT TIME ZONE 'UTC'`

export const msOf = (timestamp: string) => `(extract(epoch FROM ${timestamp}) * 1000)::bigint`

export const NOW = `(clock_timestamp() AT TIME ZONE 'UTC')`

export const ALIVE = `interval '${ALIVE_MS} milliseconds'`

/**
 * Whether a node is another one and alive. `alive_until` is never further ahead than `ALIVE`; if it is, the
 * node died before the database's clock was set back.
 */
export const isOther = (nodeId: string) => `
  node.id <> ${nodeId} AND node.alive_until > ${NOW} AND node.alive_until <= ${NOW} + ${ALIVE}`

/** Whether an account polls another node, or did a moment ago. */
export const onlineElsewhere = (accountId: string, nodeId: string) => `
  EXISTS (
    SELECT FROM session
      JOIN presence ON presence.session_id = session.id
      JOIN node ON node.id = presence.node_id
     WHERE session.account_id = ${accountId} AND ${isOther(nodeId)})`

/** Whether a session polls another node, or did a moment ago. */
export const polledElsewhere = (sessionId: string, nodeId: string) => `
  EXISTS (
    SELECT FROM presence JOIN node ON node.id = presence.node_id
     WHERE presence.session_id = ${sessionId} AND ${isOther(nodeId)})`
