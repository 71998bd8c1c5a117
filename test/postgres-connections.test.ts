import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openPool } from '../src/database/postgres/connection.ts'
import { eventually } from './support/eventually.ts'
import { shareCluster } from './support/shared-cluster.ts'

it('a connection that breaks while it has no listener does not end the process', async (t) => {
  const cluster = await shareCluster()
  const pool = openPool(
    { url: await cluster.createDatabase(), schema: 'public', channel: 'none' },
    async () => {},
  )
  const taken = await pool.connect()
  t.after(async () => {
    taken.release(true)
    await pool.end()
    await cluster.stop()
  })
  let ended = false
  taken.once('end', () => {
    ended = true
  })
  const { rows } = await taken.query('SELECT pg_backend_pid() AS pid')

  await pool.query('SELECT pg_terminate_backend($1)', [rows[0].pid])

  await eventually('the connection has ended', () => ended)
  assert.equal((await pool.query('SELECT 1')).rowCount, 1)
})
