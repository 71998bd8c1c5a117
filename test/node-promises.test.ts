/** Promises on every node from the answer of one node on, and promises of a node without notifications. */
import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import pg from 'pg'
import { Client, newName, Person, range, seqsOf } from './support/client.ts'
import { atTheEnd, endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { FaultyProxy } from './support/faulty-proxy.ts'
import { at, startNodes, through } from './support/nodes.ts'
import { orAgain, park } from './support/parked.ts'
import { type RunningServer, startServer } from './support/servers.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'
import { SilencedProxy } from './support/silenced-proxy.ts'
import { withSql } from './support/sql.ts'

const ending = endOfSuite()
let cluster: SharedCluster
let database: string
let one: RunningServer
let other: RunningServer
before(async () => {
  cluster = await shareCluster()
  atTheEnd(ending, () => cluster.stop())
  database = await cluster.createDatabase()
  ;[one, other] = await startNodes(ending, database)
})

const join = (node = one) => new Client(node).join(newName('ada'))

describe('two nodes with notifications', () => {
  it('read on one after everything that a poll has acknowledged on the other, from its answer on', async () => {
    const ada = await join()
    await ada.sendMany(ada, 30)
    for (const seq of range(1, 30)) {
      const { body } = await ada.poll({ after: seq - 1, wait: 0, limit: 1 })
      assert.deepEqual(seqsOf(body.messages), [seq])
      const elsewhere = await at(other, ada).poll({ wait: 0 })
      assert.deepEqual(seqsOf(elsewhere.body.messages), range(seq, 30))
    }
  })

  it('a login on one returns no message that was acknowledged on the other', async () => {
    const ada = await join()
    await ada.sendMany(ada, 3)
    await ada.poll({ after: 2, wait: 0 })
    const { body } = await new Client(other).login(ada.username, { takeover: true })
    assert.deepEqual(seqsOf(body.offlineMessages), [3])
  })

  it('an acknowledgement is answered after its commit, even if a later commit ends first', async (t) => {
    const [ada, bob] = [await join(), await join()]
    await ada.sendMany(ada, 2)
    // Their presence is written half a second later, and must not delay the commits.
    await eventually('their logins are noted', async () => {
      const answers = await withSql(database, ({ run }) =>
        run(
          `SELECT FROM account WHERE username IN (?, ?) AND last_seen_at IS NOT NULL`,
          ada.username,
          bob.username,
        ),
      )
      return answers.length === 2
    })
    // Another transaction holds the row that the acknowledgement writes.
    const { release, waits } = await lockAccount(t, database, ada)
    const watcher = await connectTo(t, database)
    const polled = ada.poll({ after: 1, wait: 0 })
    await waits()
    const acknowledged = ada.acknowledge(1)
    const sent = Promise.all(range(1, 64).map(() => bob.send(bob, 'hello')))
    const seen = await Promise.race([
      acknowledged.then(() => 'acknowledged'),
      polled.then(() => 'polled'),
      // The later commit is visible.
      eventually('the later commit has ended', async () => {
        const { rows } = await watcher.query('SELECT newest_seq FROM account WHERE username = $1', [
          bob.username,
        ])
        return Number(rows[0].newest_seq) >= 32
      }).then(() => 'committed'),
    ])
    assert.equal(seen, 'committed')
    const early = await Promise.race([acknowledged, polled, new Client(one).get('/healthz')])
    assert.equal(early.body.status, 'ok', 'nobody was answered yet')

    await release()

    assert.equal((await acknowledged).status, 204)
    assert.deepEqual(seqsOf((await polled).body.messages), [2])
    for (const { status } of await sent) assert.equal(status, 201)
  })

  it('a slow commit does not delay a read that acknowledges nothing', async (t) => {
    const [ada, bob] = [await join(), await join()]
    await bob.sendMany(bob, 1)
    const { release, waits } = await lockAccount(t, database, bob)
    const acknowledged = bob.poll({ after: 1, wait: 0 })
    await waits()

    const beganMs = performance.now()
    assert.equal((await ada.poll({ after: 0, wait: 0 })).status, 200)
    assert.ok(performance.now() - beganMs < 2_000, 'at once')

    await release()
    assert.equal((await acknowledged).status, 200)
  })

  it('a session that ends before its acknowledgement is written acknowledges nothing', async (t) => {
    const ada = await join()
    await ada.sendMany(ada, 2)
    const { holder, release, waits } = await lockAccount(t, database, ada)
    const polled = ada.poll({ after: 1, wait: 0 })
    await waits()

    await holder.query('DELETE FROM session USING account WHERE account_id = account.id AND username = $1', [
      ada.username,
    ])
    await release()

    await polled
    assert.equal(await acknowledgedSeq(database, ada), 0)
  })

  const endings: Record<string, (ada: Person) => Promise<{ status: number }>> = {
    'a logout': (ada) => ada.logout(),
    'a takeover': (ada) => ada.client.login(ada.username, { takeover: true }),
    'the end of the account': (ada) =>
      ada.request('POST', '/v1/me/delete', { body: { password: `the password of ${ada.username}` } }),
  }
  for (const [what, end] of Object.entries(endings)) {
    it(`${what} on one has ended the session on the other when it is answered, 10 times`, async () => {
      for (const _ of range(1, 10)) {
        const ada = await join()
        await ada.sendMany(ada, 1)
        const elsewhere = at(other, ada)
        await elsewhere.user(ada)

        assert.ok((await end(ada)).status < 300)
        const answers = await Promise.all([
          elsewhere.send(ada, 'late'),
          elsewhere.poll({ after: 1, wait: 0 }),
          elsewhere.acknowledge(1),
          elsewhere.request('POST', '/v1/token'),
        ])

        assert.deepEqual(
          answers.map(({ body }) => body.code),
          Array(4).fill('session_ended'),
        )
        assert.equal(await acknowledgedSeq(database, ada), 0, 'what was refused acknowledged nothing')
      }
    })
  }
})

describe('a node whose notifications are lost', () => {
  it('serves no session or application token that ended elsewhere, acknowledges nothing for it, and ends its polls', async (t) => {
    const { silent, silence } = await startSilent(t)
    const [ada, bob, carol] = [await join(silent), await join(silent), await join(silent)]
    await ada.sendMany(ada, 1)
    const { id, token } = (await carol.request('POST', '/v1/me/tokens', { body: { name: 'device' } })).body
    const device = new Person(new Client(silent), carol.username, token, 0)
    assert.equal((await device.send(ada, 'in time')).status, 201)
    const poll = await park(t, bob, 'wait=55')
    silence()

    const revoked = at(one, carol).request('DELETE', `/v1/me/tokens/${id}`)
    const ended = [at(one, ada).logout(), at(one, bob).logout(), revoked]
    for (const { status } of await Promise.all(ended)) assert.equal(status, 204)
    const answeredMs = performance.now()

    for (const answer of [await ada.send(ada, 'late'), await ada.poll({ after: 1, wait: 0 })])
      assert.deepEqual([answer.status, answer.body.code], [401, 'session_ended'])
    assert.equal((await device.send(ada, 'late')).body.code, 'invalid_token')
    assert.equal(await acknowledgedSeq(database, ada), 0)
    assert.equal((await poll.answer()).body.code, 'session_ended')
    assert.ok(performance.now() - answeredMs < 2_000, 'the parked poll ends about then, too')
  })

  it('answers a new poll with messages that were stored before it arrived', async (t) => {
    const { silent, silence } = await startSilent(t)
    const ada = await join(silent)
    await ada.poll({ after: 0, wait: 0 })
    silence()
    assert.equal((await at(one, ada).send(ada, 'hello')).status, 201)

    const beganMs = performance.now()
    const { body } = await ada.poll({ after: 0, wait: 55 })

    assert.deepEqual(seqsOf(body.messages), [1])
    assert.ok(performance.now() - beganMs < 1_500, 'at once')
  })

  it('delays the end of a session by no more than about a second', async (t) => {
    const { silence } = await startSilent(t)
    const ada = await join(one)
    silence()
    const beganMs = performance.now()
    assert.equal((await ada.logout()).status, 204)
    const tookMs = performance.now() - beganMs
    assert.ok(tookMs > 900 && tookMs < 3_000, `It took ${tookMs} ms.`)
  })
})

describe('a node that has stopped', () => {
  it('does not delay the end of a session on the others', async (t) => {
    const third = await startServer(t, {}, database)
    const ada = await join(third)
    await park(t, ada, 'wait=55')
    await third.stop()

    const tookMs: number[] = []
    for (const _ of range(1, 3)) {
      const person = await join(one)
      const beganMs = performance.now()
      assert.equal((await person.logout()).status, 204)
      tookMs.push(performance.now() - beganMs)
    }
    // Otherwise each would take a second.
    assert.ok(Math.min(...tookMs) < 500, `They took ${tookMs} ms.`)
  })
})

describe('a node whose database is unavailable', () => {
  it('answers a new poll with 503, and never with an empty page', async (t) => {
    const proxy = await FaultyProxy.start(t, cluster.port)
    const node = await startServer(t, {}, through(proxy, database))
    const ada = await join(node)
    await ada.poll({ after: 0, wait: 0 })
    const parked = await park(t, ada, 'after=0&wait=55')

    // First the database is silent, and then connections to it are refused.
    proxy.stall()
    const polls = await Promise.all([1, 2].map((wait) => ada.poll({ after: 0, wait })))
    assert.deepEqual(
      polls.map(({ status }) => status),
      [503, 503],
    )
    proxy.refuse()
    for (const wait of [0, 1, 55]) {
      const { status, body } = await ada.poll({ after: 0, wait })
      assert.deepEqual([status, body.code], [503, 'overloaded'])
    }
    proxy.heal()
    await eventually('it sends again', async () => (await ada.send(ada, 'hello')).status === 201)
    assert.deepEqual(seqsOf((await orAgain(parked, ada, 'after=0&wait=55')).messages), [1])
  })
})

/** A third node. After silence(), it gets no notifications; everything else still works. */
async function startSilent(t: TestContext) {
  const proxy = await SilencedProxy.start(t, cluster.port)
  const silent = await startServer(t, {}, through(proxy, database))
  return { silent, silence: () => proxy.silence() }
}

/** The acknowledged number of an account in the store; 0 if the account is gone. */
async function acknowledgedSeq(database: string, { username }: Person): Promise<number> {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  try {
    const text = 'SELECT acknowledged_seq AS seq FROM account WHERE username = $1'
    return Number((await client.query(text, [username])).rows[0].seq)
  } finally {
    await client.end()
  }
}

/** Locks the row of an account, so that a commit that writes there waits. */
async function lockAccount(t: TestContext, database: string, { username }: Person) {
  const [holder, watcher] = [await connectTo(t, database), await connectTo(t, database)]
  await holder.query('BEGIN')
  await holder.query('SELECT FROM account WHERE username = $1 FOR UPDATE', [username])
  return {
    holder,
    release: () => holder.query('COMMIT'),
    /** Resolves when a commit waits for the lock. */
    waits: () =>
      eventually('its commit waits for the row', async () => {
        const { rows } = await watcher.query(
          `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
              AND query LIKE '%acknowledged AS MATERIALIZED%'`,
        )
        return rows.length > 0
      }),
  }
}

async function connectTo(t: TestContext, database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  atTheEnd(t, () => client.end())
  return client
}
