/**
 * Faults of the disk and the database. No response is wrong: an impossible request gets 503 and
 * `Retry-After`, nothing is half done, accepted messages stay, and the server recovers by itself.
 */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { adaAndBob, Client, type Person, passwordOf, range, seqsOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { fileOf, newDatabase } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { PROGRAM } from './support/program.ts'
import { type RunningServer, shareServer, spawnServer, startServer } from './support/servers.ts'

// Each waits for the lock as long as the server does.
describe('while another connection has the database locked', { concurrency: true }, () => {
  it('every write is refused with 503, and succeeds afterwards', async (t) => {
    const server = await startServer(t)
    const everybody = await joinEverybody(server)
    const release = lock(t, server)

    for (const [what, attempt] of writes(everybody)) assertOverloaded(what, await attempt())
    release()

    for (const [what, attempt] of writes(everybody)) assertDone(what, await attempt())
    assertNoFault(server)
  })

  describe('on one server', { concurrency: 1 }, () => {
    const shared = shareServer()

    it('many concurrent sends are all refused, and each is stored once when it is repeated', async (t) => {
      const server = await shared()
      const { ada } = await adaAndBob(server)
      const sendAll = () => Promise.all(range(1, 40).map((i) => ada.send(ada, `message ${i}`, `key-${i}`)))
      await ada.send(ada, 'message 0')

      const release = lock(t, server)
      for (const answer of await sendAll()) assertOverloaded('a send', answer)
      release()
      const ids = (await sendAll()).map(({ status, body }) => {
        assert.equal(status, 201)
        return body.id
      })
      assert.deepEqual(
        (await sendAll()).map(({ body }) => body.id),
        ids,
      )

      const { body } = await ada.poll({ wait: 0 })
      assert.deepEqual(seqsOf(body.messages), range(1, 41))
    })

    it('reads are still answered, and a parked poll stays parked', async (t) => {
      const server = await shared()
      const { ada, bob } = await adaAndBob(server)
      const { id } = (await bob.send(bob, 'there before')).body
      const poll = await park(t, ada, 'wait=30')

      const release = lock(t, server)
      assert.equal((await bob.poll({ wait: 0 })).body.messages[0].body, 'there before')
      assertOverloaded('a send', await bob.send(ada, 'not now'))
      assert.equal((await bob.user(ada)).body.online, true)
      assert.equal((await bob.status(id)).body.state, 'stored')
      release()

      await bob.send(ada, 'now')
      assert.deepEqual(seqsOf((await poll.answer()).body.messages), [1])
    })

    it('an acknowledgement that came with a poll is kept, and written afterwards', async (t) => {
      const server = await shared()
      const { ada } = await adaAndBob(server)
      const ids = await ada.sendMany(ada, 3)
      await ada.poll({ after: 1, wait: 0 })

      const release = lock(t, server)
      assert.equal((await ada.poll({ after: 2, wait: 0 })).status, 200)
      // Refused, together with the attempt to write the deferred acknowledgement.
      assertOverloaded('a send', await ada.send(ada, 'not now'))
      release()

      const look = lookInto(t, fileOf(server.database))
      const acknowledged = look.prepare('SELECT acknowledged_seq FROM account WHERE username = ?').pluck()
      await eventually('the acknowledgement is stored', () => acknowledged.get(ada.username) === 2)
      assert.equal((await ada.status(ids[1] ?? '')).body.state, 'delivered')
      assert.equal((await ada.status(ids[2] ?? '')).body.state, 'stored')
    })
  })

  it('the server is alive but not ready while the database does not answer in time', async (t) => {
    const server = await startServer(t)
    const client = new Client(server)
    const ada = await client.join('ada')
    const release = lock(t, server)
    // The store serves requests in turn, and each waits for the lock: together longer than a load balancer
    // waits.
    const renewals = range(1, 10).map(() => ada.request('POST', '/v1/token'))
    await eventually('it is not ready', async () => (await client.get('/readyz')).status === 503)
    assert.equal((await client.get('/healthz')).status, 200)
    for (const answer of await Promise.all(renewals)) assertOverloaded('a renewal', answer)
    release()
    await eventually('it is ready', async () => (await client.get('/readyz')).status === 200)
  })

  it('a stop is clean and not delayed', async (t) => {
    const server = await spawnServer(t)
    await new Client(server).join('ada')
    lock(t, server)
    const begun = performance.now()
    await server.stop()

    // The time when ada was last seen cannot be written, so the exit code may be 1. It must not be a signal.
    assert.ok([0, 1].includes((await server.exited) as number), String(await server.exited))
    assert.equal(server.errors(), '')
    assert.ok(performance.now() - begun < 8_000)
  })
})

describe('when the disk is full', () => {
  /** The maximum size of a file: to SQLite it looks like a full disk in the middle of a write. */
  const FILE_KIB_MAX = 1_024
  /** A frame of the write-ahead log: a page with its header (sqlite.org/fileformat2.html#walformat). */
  const FRAME_BYTES = 4_120
  const limited = ['bash', '-c', `ulimit -S -f ${FILE_KIB_MAX}; exec "$0" "$1"`, process.execPath, PROGRAM]

  it('every write is refused with 503, nothing accepted is lost, and it recovers when there is room', async (t) => {
    const database = await newDatabase(t)
    const file = fileOf(database)
    const server = await spawnServer(t, {}, database, limited)
    const everybody = await joinEverybody(server)
    const joinedMs = Date.now()
    const { bob } = everybody
    const accepted = await fill(bob)
    assert.ok(statSync(`${file}-wal`).size > 0.9 * FILE_KIB_MAX * 1_024, 'It is full.')

    takeTheRest(file)
    // Expiries are whole seconds: SQLite does not write a session that a renewal does not change.
    await eventually('a token that is renewed lasts longer', () => Date.now() - joinedMs >= 1_000)

    for (const [what, attempt] of writes(everybody)) assertOverloaded(what, await attempt())
    assert.equal((await bob.client.get('/healthz')).status, 200)
    assert.equal((await bob.poll({ wait: 0, limit: 1 })).body.messages[0].id, accepted[0])

    makeRoom(file)
    for (const [what, attempt] of writes(everybody)) assertDone(what, await attempt())
    const ids = await idsOf(bob)
    assert.deepEqual(ids.slice(0, accepted.length), accepted)
    assertNoFault(server)
    await server.stop()

    await startServer(t, {}, database)
  })

  /** Sends until a send is refused. Resolves with the ids of the accepted messages. */
  async function fill(person: Person): Promise<string[]> {
    const accepted: string[] = []
    for (const body of ['x'.repeat(16_000), 'x'.repeat(3_000), 'x']) {
      for (let answer = await person.send('bob', body); ; answer = await person.send('bob', body)) {
        if (answer.status !== 201) {
          assertOverloaded('a send', answer)
          break
        }
        accepted.push(answer.body.id)
        assert.ok(accepted.length < 2_000, 'The limit holds.')
      }
    }
    return accepted
  }

  /** A page or two may be left for small writes: another process uses them up. */
  function takeTheRest(file: string) {
    const other = new SqliteFile(file)
    other.pragma('wal_autocheckpoint = 0')
    const takeSome = other.prepare('UPDATE account SET last_seen_at = ?')
    // Counted in frames: the last write may have filled the file without completing a frame.
    const frames = () => (other.pragma('wal_checkpoint(NOOP)') as { log: number }[])[0]?.log ?? 0
    for (let n = 0; FRAME_BYTES * (frames() + 1) < FILE_KIB_MAX * 1_024; n++) takeSome.run(n)
    other.close()
  }

  /** Frees space: a process without the limit writes the log back into the database. */
  function makeRoom(file: string) {
    const other = new SqliteFile(file)
    other.pragma('wal_checkpoint(TRUNCATE)')
    other.close()
    assert.equal(statSync(`${file}-wal`).size, 0)
  }
})

interface Everybody {
  ada: Person
  bob: Person
  carol: Person
  dora: Person
}

async function joinEverybody(server: RunningServer): Promise<Everybody> {
  const client = new Client(server)
  const [ada, bob, carol, dora] = [
    await client.join('ada'),
    await client.join('bob'),
    await client.join('carol'),
    await client.join('dora'),
  ]
  await ada.send('ada', 'to be acknowledged')
  await client.register('erik')
  return { ada, bob, carol, dora }
}

/** Every operation that changes the store, and can be done once. */
function writes({ ada, bob, carol, dora }: Everybody): [what: string, attempt: () => Promise<Answer>][] {
  const { client } = ada
  return [
    ['a send', () => ada.send('bob', 'a body', 'a-key')],
    ['a registration', () => client.register('fay')],
    ['a login', () => client.login('erik')],
    ['an acknowledgement', () => ada.acknowledge(1)],
    ['a renewal', () => ada.request('POST', '/v1/token')],
    ['a logout', () => carol.logout()],
    [
      'a new password',
      () =>
        bob.request('PUT', '/v1/me/password', {
          body: { current: passwordOf('bob'), new: passwordOf('bob') },
        }),
    ],
    ['a deletion', () => dora.request('POST', '/v1/me/delete', { body: { password: passwordOf('dora') } })],
  ]
}

/** Holds the database's lock, like a slow backup tool. */
function lock(t: TestContext, { database }: RunningServer): () => void {
  const other = new SqliteFile(fileOf(database))
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  return () => other.close()
}

function lookInto(t: TestContext, file: string) {
  const other = new SqliteFile(file, { readonly: true })
  t.after(() => other.close())
  return other
}

function assertOverloaded(what: string, { status, headers, body }: Answer) {
  assert.deepEqual([status, body.code], [503, 'overloaded'], what)
  assert.match(headers.get('retry-after') ?? '', /^[1-9]\d?$/, what)
}

function assertDone(what: string, { status, body }: Answer) {
  assert.ok(status >= 200 && status < 300, `${what}: ${status} ${JSON.stringify(body)}`)
}

/** A transient failure is no fault, and the log must not report one. */
function assertNoFault({ logs }: RunningServer) {
  assert.deepEqual(
    logs.filter(({ msg }) => /fault/.test(msg)),
    [],
  )
}

async function idsOf(person: Person): Promise<string[]> {
  const ids: string[] = []
  for (let after = 0, more = true; more; ) {
    const { body } = await person.poll({ after, wait: 0, limit: 500 })
    ids.push(...body.messages.map(({ id }: { id: string }) => id))
    after = body.cursor
    more = body.hasMore
  }
  return ids
}
