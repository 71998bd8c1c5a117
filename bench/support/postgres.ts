import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { startCluster } from '../../test/support/postgres.ts'
import { withSql } from '../../test/support/sql.ts'
import { addPeople } from './people.ts'
import { startServer, TICKS_PER_SECOND, ticksOf } from './processes.ts'

/** A PostgreSQL server with its default settings, so that it syncs, and a database with people. */
export async function startPostgres(accounts: number) {
  const cluster = await startCluster({ durable: true })
  const url = await cluster.createDatabase()
  await (await startServer(url)).stop()
  await withSql(url, (sql) => addPeople(sql, accounts))
  const client = new pg.Client(url)
  await client.connect()
  await client.query('VACUUM ANALYZE')
  const [pid] = readFileSync(join(cluster.files, 'postmaster.pid'), 'utf8').split('\n')
  return {
    url,
    client,
    /** Processor time of all its processes. */
    cpuSeconds: () => familyTicks(Number(pid)) / TICKS_PER_SECOND,
    stop: async () => {
      await client.end()
      await cluster.stop()
    },
  }
}

/** The ticks of a process, of its children, and of its children that have ended. */
function familyTicks(pid: number): number {
  const family = readdirSync('/proc').flatMap((name) => {
    const ticks = /^\d+$/.test(name) ? ticksOf(Number(name)) : undefined
    if (Number(name) === pid && ticks) return [ticks.own + ticks.waitedFor]
    return ticks?.parent === pid ? [ticks.own] : []
  })
  return family.reduce((sum, ticks) => sum + ticks, 0)
}
