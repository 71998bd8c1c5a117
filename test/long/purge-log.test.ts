/** A purge of many messages at once does not let the write-ahead log of SQLite grow. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { it } from 'node:test'
import { Client } from '../support/client.ts'
import { fileOf } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { startServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'

const MESSAGES = 1_000_000

/** The maximum according to docs/operating.md. */
const LOG_BYTES_MAX = 64 * 1024 * 1024

const FILL = `
  WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${MESSAGES})
  INSERT INTO message (recipient_id, seq, id, sender_id, body, sent_at, bytes_before)
  SELECT 1, n, randomblob(16), 1, printf('%.100c', 'x'), 0, 100 * (n - 1) FROM numbers`

it('the purge of a million messages does not enlarge the log, and sends continue', async (t) => {
  const first = await startServer(t)
  await new Client(first).register('ada')
  await first.stop()
  await withSql(first.database, async ({ run }) => {
    await run(FILL)
    await run(`UPDATE account SET newest_seq = ${MESSAGES}, acknowledged_seq = ${MESSAGES}`)
  })

  const server = await startServer(t, { RETENTION: '0' }, first.database)
  const ada = await new Client(server).enter('ada')
  let longest = 0
  await eventually(
    'all is purged',
    async () => {
      assert.equal((await ada.send('ada', 'hello')).status, 201)
      longest = Math.max(longest, statSync(`${fileOf(server.database)}-wal`).size)
      const rows = await withSql(server.database, ({ run }) =>
        run(`SELECT count(*) AS n FROM (SELECT 1 FROM message WHERE seq <= ${MESSAGES} LIMIT 1)`),
      )
      return rows[0]?.['n'] === 0
    },
    300_000,
  )
  t.diagnostic(`The log had ${(longest / 1024 / 1024).toFixed(0)} MB at the most.`)
  assert.ok(longest <= LOG_BYTES_MAX, `It had ${longest} bytes.`)
})
