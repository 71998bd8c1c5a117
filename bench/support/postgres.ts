import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import { startCluster } from '../../test/support/postgres.ts'
import { passwordHash } from './password.ts'
import { sessionIdOf, usernameOf } from './people.ts'
import { type Processes, TICKS_PER_SECOND, ticksOf } from './processes.ts'

/** A PostgreSQL server that several nodes share, with people in its database. */
export interface Postgres {
  url: string
  /** Processor time of all its processes. */
  cpuSeconds: () => number
  /** @throws Error when not as many messages are stored as were accepted, or a number is missing */
  verify: (accepted: number, unheardMax: number) => Promise<void>
  stop: () => Promise<void>
}

/** Starts it with the settings it comes with, so that it syncs, and lets a node make the tables. */
export async function startPostgres(processes: Processes, accounts: number): Promise<Postgres> {
  const cluster = await startCluster({ durable: true })
  const url = await cluster.createDatabase()
  await (await processes.server(url)).stop()

  const client = new pg.Client(url)
  await client.connect()
  const indexes = Array.from({ length: accounts }, (_, index) => index)
  await client.query(
    `INSERT INTO account (username, display_name, password_hash, created_at)
     SELECT username, username, $2, now() AT TIME ZONE 'UTC' FROM unnest($1::text[]) AS username`,
    [indexes.map(usernameOf), await passwordHash()],
  )
  await client.query(
    `INSERT INTO session (id, account_id, created_at, expires_at, acknowledged_seq, offered_seq)
     SELECT session_id, account.id, created_at, created_at + interval '1 year', 0, 0
       FROM unnest($1::text[], $2::text[]) AS _ (session_id, username) JOIN account USING (username)`,
    [indexes.map(sessionIdOf), indexes.map(usernameOf)],
  )
  await client.query('VACUUM ANALYZE')
  const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
  const [pid] = readFileSync(`${rows[0]?.data_directory}/postmaster.pid`, 'utf8').split('\n')

  return {
    url,
    cpuSeconds: () => familyTicks(Number(pid)) / TICKS_PER_SECOND,
    verify: (accepted, unheardMax) => verify(client, accepted, unheardMax),
    stop: async () => {
      await client.end()
      await cluster.stop()
    },
  }
}

/** Of a process, of its children, and of those that have ended. */
function familyTicks(pid: number): number {
  const own = ticksOf(pid)
  const children = readdirSync('/proc').flatMap((name) => {
    const ticks = /^\d+$/.test(name) ? ticksOf(Number(name)) : undefined
    return ticks?.parent === pid ? [ticks.own] : []
  })
  return (own ? own.own + own.waitedFor : 0) + children.reduce((sum, ticks) => sum + ticks, 0)
}

async function verify(client: pg.Client, accepted: number, unheardMax: number) {
  const { rows } = await client.query<{ stored: string; gaps: string }>(
    `SELECT (SELECT count(*) FROM message) AS stored,
            (SELECT count(*) FROM account
              WHERE newest_seq - purged_seq <>
                    (SELECT count(*) FROM message WHERE recipient_id = account.id)) AS gaps`,
  )
  const [stored, gaps] = [Number(rows[0]?.stored), Number(rows[0]?.gaps)]
  if (stored < accepted || stored > accepted + unheardMax)
    throw new Error(
      `${accepted} messages were accepted (and up to ${unheardMax} more), ${stored} are stored.`,
    )
  if (gaps > 0) throw new Error(`${gaps} inboxes have numbers without a message.`)
}
