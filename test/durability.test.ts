/**
 * Accepted means on disk. A wait for the disk cannot be observed without tracing system calls. It follows
 * from `synchronous=FULL`, with which SQLite syncs the write-ahead log after every transaction
 * (sqlite.org/pragma.html#pragma_synchronous). The builds of better-sqlite3 have NORMAL by default, which
 * does not sync, and the setting belongs to the connection, not to the file: so every connection is checked.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { Client, type Person, range, seqsOf } from './support/client.ts'
import { fileOf, scratchFolder } from './support/databases.ts'
import { shareServer, spawnServer } from './support/servers.ts'
import { countCommits } from './support/write-ahead-log.ts'

const PROBE = new URL('support/connection-settings.mjs', import.meta.url).href
/** The value of `PRAGMA synchronous` for FULL. */
const FULL = '2'

describe('every connection to the database', () => {
  it('syncs each commit to disk, uses a write-ahead log, and enforces foreign keys', async (t) => {
    const report = join(scratchFolder(t), 'connections')
    const server = await spawnServer(t, {
      ...{ NODE_OPTIONS: `--import=${PROBE}`, CONNECTION_SETTINGS: report },
      MESSAGE_LENGTH_MAX: '1000000',
    })
    // A registration uses the ORM's connection, a send that of the statements. So much text causes a
    // checkpoint, which has a connection of its own.
    const ada = await new Client(server).join('ada')
    for (const i of range(1, 5))
      assert.equal((await ada.send('ada', String(i).repeat(1_000_000))).status, 201)
    await server.stop()
    assert.equal(server.errors(), '')
    const file = fileOf(server.database)
    assert.ok(!existsSync(`${file}-wal`), 'All of the log is written back.')

    const connections = readFileSync(report, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string })
      .filter((connection) => connection.file === file)
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
  const shared = shareServer()

  it('writes 64 concurrent sends in a few transactions', async (t) => {
    const server = await shared()
    const client = new Client(server)
    const ada = await client.join('ada')
    const sendAll = (round: string) =>
      Promise.all(range(1, 64).map((i) => sendUntilAccepted(ada, `${round} ${i}`)))
    // Opens the connections, so that only the sends follow.
    await sendAll('first')

    const commits = countCommits(fileOf(server.database))
    // While the lock is held, the first commit waits and the other sends arrive, on a machine of any speed.
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

  it('writes successive sends in a transaction each', async () => {
    const server = await shared()
    const bob = await new Client(server).join('bob')
    await bob.poll({ wait: 0 })
    const commits = countCommits(fileOf(server.database))
    await bob.sendMany('bob', 10)
    assert.ok(commits() >= 10, `${commits()} transactions`)
  })
})

/** On a very slow machine, the server may give up waiting for the lock. */
async function sendUntilAccepted(person: Person, body: string) {
  for (;;) {
    const { status } = await person.send(person.username, body, body.replace(' ', '-'))
    if (status === 201) return
    assert.equal(status, 503)
  }
}
