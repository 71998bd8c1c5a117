import pg from 'pg'
import { type Cluster, startCluster } from './postgres.ts'

/** A PostgreSQL server that other files use at the same time: no test may stop or change it. */
export type SharedCluster = Pick<Cluster, 'port' | 'createDatabase' | 'stop'>

/** The server of the whole run, set by scripts/test.ts; without it a file starts one of its own. */
const SERVER = process.env['TEST_CLUSTER']

/** Several files share a process, and each shares the server for itself. */
let databases = 0

export async function shareCluster(): Promise<SharedCluster> {
  if (SERVER === undefined) return startCluster()
  const url = new URL(SERVER)
  const pool = new pg.Pool({ connectionString: url.href, max: 2 })
  const names: string[] = []
  return {
    port: Number(url.port),
    createDatabase: async () => {
      databases += 1
      const name = `restante_${process.pid}_${databases}`
      names.push(name)
      await pool.query(`CREATE DATABASE ${name}`)
      return new URL(name, url).href
    },
    stop: async () => {
      // PostgreSQL may not have noticed the end of a killed server yet.
      for (const name of names) await pool.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await pool.end()
    },
  }
}
