/**
 * Accepted means on the disk. That a commit waits for the disk cannot be seen from outside without tracing
 * the system calls of the process; it follows from `synchronous=FULL`, with which SQLite syncs the
 * write-ahead log after every transaction (sqlite.org/pragma.html#pragma_synchronous). The default of the
 * builds that better-sqlite3 ships is NORMAL there, which does not, and it is a property of the connection
 * and not of the file: so every connection is asked.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { Client, type Person, range, seqsOf } from './support/client.ts'
import { fileOf, scratchFolder } from './support/databases.ts'
import { spawnServer, startServer } from './support/servers.ts'
import { countCommits } from './support/write-ahead-log.ts'

const PROBE = new URL('support/connection-settings.mjs', import.meta.url).href
/** The value of `PRAGMA synchronous` for FULL. */
const FULL = '2'

describe('every connection to the database', () => {
  it('syncs each commit to the disk, writes ahead, and keeps to foreign keys', async (t) => {
    const { database, stop } = await startServer(t)
    await stop()
    const report = join(scratchFolder(t), 'connections')
    const server = await spawnServer(
      t,
      { NODE_OPTIONS: `--import=${PROBE}`, CONNECTION_SETTINGS: report },
      database,
    )
    // A registration goes through the ORM's connection, a send through that of the statements. As many as
    // this are worth a checkpoint, which has a connection of its own.
    const ada = await new Client(server).join('ada')
    await Promise.all(range(1, 256).map((i) => ada.send('ada', `${i} `.padEnd(16_000, 'kept '))))
    await server.stop()
    assert.equal(server.errors(), '')
    assert.ok(!existsSync(`${fileOf(database)}-wal`), 'All of the log is written back.')

    const connections = readFileSync(report, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string })
      .filter((connection) => connection.file === fileOf(database))
    assert.equal(
      connections.length,
      5,
      'Migrations, the ORM, the statements, the reads and the checkpoints have one each.',
    )
    for (const { file: _, ...settings } of connections) {
      assert.deepEqual(settings, { journalMode: 'wal', synchronous: FULL, foreignKeys: '1' })
    }
  })
})

describe('group commit', () => {
  it('writes 64 sends that come at once with a few transactions', async (t) => {
    const server = await startServer(t)
    const client = new Client(server)
    const ada = await client.join('ada')
    const sendAll = (round: string) =>
      Promise.all(range(1, 64).map((i) => sendUntilAccepted(ada, `${round} ${i}`)))
    // Opens the connections: what follows is only the sends.
    await sendAll('first')

    const commits = countCommits(fileOf(server.database))
    // With the lock taken the first commit waits, and the others come meanwhile, on a machine of any speed.
    const other = new SqliteFile(fileOf(server.database))
    t.after(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    const sent = sendAll('second')
    await client.get('/healthz')
    other.close()
    await sent

    assert.ok(commits() > 0 && commits() <= 16, `${commits()} transactions`)
    const { body } = await ada.poll({ wait: 0, limit: 500 })
    assert.deepEqual(seqsOf(body.messages), range(1, 128))
  })

  it('writes sends that come one after the other with a transaction each', async (t) => {
    const server = await startServer(t)
    const ada = await new Client(server).join('ada')
    await ada.poll({ wait: 0 })
    const commits = countCommits(fileOf(server.database))
    await ada.sendMany('ada', 10)
    assert.ok(commits() >= 10, `${commits()} transactions`)
  })
})

/** On a very slow machine the lock may last longer than the server waits for it. */
async function sendUntilAccepted(person: Person, body: string) {
  for (;;) {
    const { status } = await person.send(person.username, body, body.replace(' ', '-'))
    if (status === 201) return
    assert.equal(status, 503)
  }
}
