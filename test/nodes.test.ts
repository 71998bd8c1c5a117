/** Several nodes on one PostgreSQL database, which are one server to clients. */
import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import pg from 'pg'
import { Client, newName, type Person, range, seqsOf } from './support/client.ts'
import { setClockWrong } from './support/clocks.ts'
import { atTheEnd, endOfSuite } from './support/endings.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { FaultyProxy } from './support/faulty-proxy.ts'
import { at, startNodes, through } from './support/nodes.ts'
import { orAgain, park } from './support/parked.ts'
import { startCluster } from './support/postgres.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { mistakeOf, type RunningServer, spawnServer, startServer } from './support/servers.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'

/** Without notifications, parked polls are checked within a second; this leaves time to spare. */
const NOTICED_MS = 5_000

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

const join = (name: string, node = one) => new Client(node).join(newName(name))
const seen = (person: Person, node: RunningServer) =>
  eventually(`${person.username} is online`, async () => (await at(node, person).user(person)).body.online)

describe('two nodes', () => {
  it('a message sent on one wakes the poll on the other, within milliseconds', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    const tookMs: number[] = []
    for (const seq of range(1, 30)) {
      const poll = ada.poll({ after: seq - 1, wait: 55 })
      const beganMs = performance.now()
      const sent = bob.send(ada, `message ${seq}`)
      const { status, body } = await poll
      tookMs.push(performance.now() - beganMs)
      assert.deepEqual([status, seqsOf(body.messages)], [200, [seq]])
      assert.equal((await sent).status, 201)
    }
    tookMs.sort((a, b) => a - b)
    const [p50 = 0, longest = 0] = [tookMs[15], tookMs[29]]
    t.diagnostic(
      `sent at one node, received at the other: p50 ${p50.toFixed(1)} ms, at most ${longest.toFixed(1)} ms`,
    )
    assert.ok(p50 < 1_000, `p50 is ${p50} ms`)
  })

  it('a receipt for a message acknowledged on one wakes the poll on the other', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    const { id } = (await sendWithReceipt(bob, ada, 'hello')).body
    const poll = await park(t, bob, 'after=0')
    const beganMs = performance.now()

    await ada.acknowledge(1)

    assert.deepEqual((await poll.answer()).body.messages[0]?.receiptFor, [id])
    assert.ok(performance.now() - beganMs < AT_ONCE_MS)
  })

  it('20 senders on one fill an inbox that is read on the other, in order and without a gap', async () => {
    const ada = await join('ada')
    const senders = await Promise.all(range(1, 20).map(() => join('sender', other)))
    const each = 10

    const sending = Promise.all(
      senders.map(async (sender) => {
        for (const n of range(1, each)) await sender.send(ada, `${n}`)
      }),
    )
    const received: { seq: number; from: string; body: string }[] = []
    while (received.length < senders.length * each) {
      const { body } = await ada.poll({ after: received.length, wait: 55, limit: 7 })
      received.push(...body.messages)
      assert.equal(body.cursor, received.length)
    }
    await sending

    assert.deepEqual(seqsOf(received), range(1, senders.length * each))
    for (const { username } of senders) {
      const bodies = received.filter(({ from }) => from === username).map(({ body }) => body)
      assert.deepEqual(bodies, range(1, each).map(String))
    }
  })

  const endings: Record<string, (person: Person) => Promise<unknown>> = {
    'a logout': (ada) => at(other, ada).logout(),
    'the end of a session by its id': async (ada) =>
      at(other, ada).endSession((await at(other, ada).sessions()).body.sessions[0].id),
    'a takeover': (ada) => new Client(other).enter(ada.username, { takeover: true }),
    'the end of the account': (ada) =>
      at(other, ada).request('POST', '/v1/me/delete', {
        body: { password: `the password of ${ada.username}` },
      }),
  }
  for (const [what, end] of Object.entries(endings)) {
    it(`${what} on one ends the polls and the token on the other at once`, async (t) => {
      const ada = await join('ada')
      const poll = await park(t, ada, 'wait=55')

      await end(ada)
      const endedMs = performance.now()

      const { status, body } = await poll.answer()
      assert.deepEqual([status, body.code], [401, 'session_ended'])
      assert.ok(performance.now() - endedMs < AT_ONCE_MS)
      assert.equal((await ada.poll({ wait: 0 })).body.code, 'session_ended')
    })
  }

  it('a password changed on one ends the other sessions on the other', async (t) => {
    const ada = await join('ada')
    await ada.user(ada)
    const newer = await new Client(other).enter(ada.username)
    await eventually(
      'the older session has ended at the one',
      async () => (await ada.poll({ wait: 0 })).body.code === 'session_ended',
      AT_ONCE_MS,
    )
    const poll = await park(t, newer, 'wait=55')

    const changed = await at(one, newer).request('PUT', '/v1/me/password', {
      body: { current: `the password of ${ada.username}`, new: 'another password' },
    })

    assert.equal(changed.status, 204)
    await newer.send(newer, 'still here')
    assert.equal((await poll.answer()).status, 200)
  })

  it('an account that polls one is online on the other at once, and offline after a logout', async (t) => {
    const ada = await join('ada')
    await park(t, ada, 'wait=55')
    await seen(ada, other)

    const refused = await new Client(other).login(ada.username)
    assert.deepEqual([refused.status, refused.body.code], [409, 'already_online'])

    await ada.logout()
    assert.equal((await new Client(other).login(ada.username)).status, 200)
  })

  it('after a logout on one, both accept a login, even if the poll waited on the other', async (t) => {
    for (const node of [one, other]) {
      const ada = await join('ada')
      const poll = await park(t, ada, 'wait=55')
      await seen(ada, other)

      await at(other, ada).logout()
      await poll.answer()

      assert.equal((await new Client(node).login(ada.username)).status, 200)
    }
  })

  it('a poll with away on one makes the account online on neither', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    await bob.send(ada, 'hello')
    const beforeMs = Date.now()
    const poll = await park(t, ada, 'after=1&wait=55&away=true')
    assert.equal((await bob.user(ada)).body.online, false)
    assert.equal((await bob.send(ada, 'wake up')).body.delivery, 'stored')
    assert.equal((await poll.answer()).body.cursor, 2)
    const { lastSeenAt } = (await at(one, bob).user(ada)).body
    assert.ok(Date.parse(lastSeenAt) <= beforeMs, 'at the login')
    assert.equal((await new Client(other).login(ada.username)).status, 200)
  })

  it('a presence hidden on one is hidden on the other at once, and a new name is shown', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    const poll = await park(t, ada, 'after=0&wait=55')
    await seen(ada, other)

    await ada.update({ presence: 'nobody', displayName: 'Ada' })

    const hidden = { username: ada.username, displayName: 'Ada' }
    assert.deepEqual((await bob.user(ada)).body, hidden)
    const answers = await Promise.all([one, other].map((node) => at(node, bob).send(ada, 'hello')))
    assert.deepEqual(
      answers.map(({ body }) => body.delivery),
      ['stored', 'stored'],
    )
    assert.ok((await poll.answer()).body.cursor >= 1)
    await at(other, ada).update({ presence: 'everyone' })
    assert.equal((await bob.user(ada)).body.online, true)
    assert.deepEqual((await at(other, ada).me()).body.inbox, { newest: 2, acknowledged: 0, unread: 2 })
    await ada.acknowledge(1)
    assert.deepEqual((await at(other, ada).me()).body.inbox, { newest: 2, acknowledged: 1, unread: 1 })
  })

  it('delivery is live if the recipient polls the other node, and stored otherwise', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
    const poll = await park(t, ada, `after=1&wait=55`)
    await seen(ada, other)

    const { body } = await bob.send(ada, 'hello', 'a-key')

    assert.equal(body.delivery, 'live')
    assert.equal((await poll.answer()).body.cursor, 2)
    const again = await at(one, bob).send(ada, 'hello', 'a-key')
    assert.deepEqual([again.body, again.headers.get('idempotent-replayed')], [body, 'true'])
  })

  it('the same key on both nodes at once gives one message and one answer', async () => {
    const [ada, bob] = [await join('ada'), await join('bob')]
    await at(other, bob).user(ada)
    const pairs = await Promise.all(
      range(1, 40).map((i) =>
        Promise.all([one, other].map((node) => at(node, bob).send(ada, `message ${i}`, `key-${i}`))),
      ),
    )

    for (const [first, second] of pairs) {
      assert.deepEqual([first?.status, second?.status], [201, 201])
      assert.deepEqual(first?.body, second?.body)
      const replays = [first, second].filter((answer) => answer?.headers.get('idempotent-replayed'))
      assert.equal(replays.length, 1)
    }
    const { body } = await ada.poll({ wait: 0 })
    assert.deepEqual(seqsOf(body.messages), range(1, 40))
    assert.equal((await at(other, bob).send(ada, 'something else', 'key-1')).status, 422)
  })

  it('a read without a wait on one sees the message that the other has just accepted, 30 times', async () => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    for (const seq of range(1, 30)) {
      await bob.send(ada, `message ${seq}`)
      const { body } = await ada.poll({ after: seq - 1, wait: 0 })
      assert.deepEqual(seqsOf(body.messages), [seq])
    }
  })

  it('a read without a cursor starts after the last acknowledgement of the session on the other node', async () => {
    const ada = await join('ada', one)
    await ada.sendMany(ada, 6)
    const elsewhere = at(other, ada)
    assert.deepEqual(seqsOf((await elsewhere.poll({ wait: 0 })).body.messages), range(1, 6))

    await ada.acknowledge(3)
    assert.deepEqual(seqsOf((await elsewhere.poll({ wait: 0 })).body.messages), range(4, 6))
    assert.equal((await elsewhere.acknowledge(6)).status, 204)
    assert.deepEqual((await ada.poll({ wait: 0 })).body, { messages: [], cursor: 6, hasMore: false })
    const { body } = await new Client(other).login(ada.username, { takeover: true })
    assert.deepEqual(body.offlineMessages, [])
  })
})

describe('an account whose polls are gone', { concurrency: true }, () => {
  it('was online on the other node, with the time, and is offline after the grace time', async (t) => {
    const [ada, bob] = [await join('ada', one), await join('bob', other)]
    assert.equal((await bob.user(ada)).body.online, false)
    const poll = await park(t, ada, 'wait=55')
    await seen(ada, other)

    const { lastSeenAt } = (await bob.user(ada)).body
    assert.ok(Math.abs(Date.parse(lastSeenAt) - Date.now()) < AT_ONCE_MS, lastSeenAt)
    const sessionSeenMs = async () =>
      Date.parse((await at(other, ada).sessions()).body.sessions[0].lastSeenAt ?? 0)
    assert.ok(Math.abs((await sessionSeenMs()) - Date.now()) < AT_ONCE_MS, 'of its session')

    const goneMs = Date.now()
    poll.socket.destroy()
    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online, 15_000)

    assert.ok(Date.now() - goneMs > 9_900, `offline after ${Date.now() - goneMs} ms`)
    await eventually('the store knows when', async () => {
      const atMs = Date.parse((await bob.user(ada)).body.lastSeenAt)
      return Math.abs(atMs - goneMs) < AT_ONCE_MS
    })
    await eventually('and of its session', async () => {
      const beforeGoneMs = goneMs - (await sessionSeenMs())
      return Math.abs(beforeGoneMs) < AT_ONCE_MS
    })
  })

  it('is offline within about 10 s when its node has died', async (t) => {
    const dying = await spawnServer(t, {}, database)
    const [ada, bob] = [await join('ada', dying), await join('bob', other)]
    const poll = await park(t, ada, 'wait=55')
    poll.answered.catch(() => {})
    await seen(ada, other)

    dying.process.kill('SIGKILL')
    const killedMs = performance.now()
    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)

    const tookMs = performance.now() - killedMs
    t.diagnostic(`offline after ${(tookMs / 1_000).toFixed(1)} s`)
    assert.ok(tookMs < 10_000 + AT_ONCE_MS, `offline after ${tookMs} ms`)
    assert.equal((await new Client(other).login(ada.username)).status, 200)
  })
})

describe('nodes without notifications', () => {
  it('end polls and tokens, and deliver messages, within a few seconds; and recover', async (t) => {
    const silence = await silenceOf(t, database)
    const people = await Promise.all(range(1, 4).map(() => join('person')))
    const [ada, bob, carol, dave] = people as [Person, Person, Person, Person]
    const [adaWaits, bobWaits, carolWaits] = [
      await park(t, ada, 'wait=55'),
      await park(t, bob, 'wait=55'),
      await park(t, carol, 'wait=55'),
    ]
    await warmUp(one, other)
    await silence.begin()

    await at(other, ada).logout()
    await at(other, dave).logout()
    await new Client(other).enter(bob.username, { takeover: true })
    assert.equal((await at(other, carol).send(carol, 'hello')).status, 201)
    const saidMs = performance.now()
    for (const poll of [adaWaits, bobWaits]) assert.equal((await poll.answer()).body.code, 'session_ended')
    assert.equal((await carolWaits.answer()).body.messages[0].body, 'hello')
    await eventually(
      'the token is dead',
      async () => (await dave.poll({ wait: 0 })).status === 401,
      NOTICED_MS,
    )
    const tookMs = performance.now() - saidMs
    assert.ok(tookMs < NOTICED_MS, `It took ${tookMs} ms.`)

    await silence.end()
    await eventually('notifications arrive again', async () => (await silence.listeners()) === 2)
    const poll = await park(t, carol, 'after=1&wait=55')
    await at(other, carol).send(carol, 'hello again')
    assert.equal((await poll.answer()).body.messages[0].body, 'hello again')
    assert.deepEqual(faultsOf(one, other), [])
  })

  it('a logout also ends the presence of a poll that began before the connection was lost', async (t) => {
    const silence = await silenceOf(t, database)
    const ada = await join('ada')
    const poll = await park(t, ada, 'wait=55')
    await silence.interrupt()
    await eventually('notifications arrive again', async () => (await silence.listeners()) === 2)

    await at(other, ada).logout()
    assert.equal((await poll.answer()).body.code, 'session_ended')

    assert.equal((await new Client(one).login(ada.username)).status, 200)
  })
})

describe('an unavailable database', { concurrency: true }, () => {
  it('parked polls stay, requests get 503, and everything recovers by itself', async (t) => {
    const own = await startCluster()
    atTheEnd(t, () => own.stop())
    const [one, other] = await startNodes(t, await own.createDatabase())
    const [ada, bob] = [await new Client(one).join('ada'), await new Client(other).join('bob')]
    const poll = await park(t, ada, 'wait=55')
    await own.halt()

    await eventually('the nodes notice', async () => (await new Client(one).get('/readyz')).status === 503)
    for (const answer of [
      await bob.send(ada, 'lost'),
      await bob.poll({ wait: 0 }),
      await bob.user(ada),
      await bob.acknowledge(0),
      await new Client(one).login('ada'),
      await new Client(one).register('carol'),
      await new Client(other).get('/readyz'),
    ]) {
      assert.deepEqual([answer.status, answer.body.code], [503, 'overloaded'])
      assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
    }
    for (const node of [one, other]) assert.equal((await new Client(node).get('/healthz')).status, 200)
    const answer = poll.answer()
    assert.equal(await Promise.race([answer, 'none']), 'none')

    await own.start()
    await eventually(
      'they are ready',
      async () => {
        const answers = await Promise.all([one, other].map((node) => new Client(node).get('/readyz')))
        return answers.every(({ status }) => status === 200)
      },
      15_000,
    )
    const sentMs = performance.now()
    assert.equal((await bob.send(ada, 'hello')).status, 201)
    assert.deepEqual((await orAgain(poll, ada, 'wait=55')).messages[0].body, 'hello')
    const tookMs = performance.now() - sentMs
    t.diagnostic(`woken ${tookMs.toFixed(0)} ms after the first send that was accepted`)
    assert.ok(tookMs < NOTICED_MS, `woken after ${tookMs} ms`)
    assert.deepEqual(faultsOf(one, other), [])
  })

  it('a node stopped meanwhile answers its polls, and exits with 1 because it could not write everything', async (t) => {
    const proxy = await FaultyProxy.start(t, cluster.port)
    const node = await spawnServer(t, {}, through(proxy, database))
    const ada = await join('ada', node)
    const poll = await park(t, ada, 'wait=55')
    proxy.refuse()

    node.process.kill('SIGTERM')

    assert.equal((await poll.answer()).status, 200)
    assert.equal(await node.exited, 1)
    // A stop that takes too long is forced, with 1 as well.
    assert.match(node.logs.at(-1)?.msg ?? '', /^The database is unreachable: /)
    assert.equal(node.errors(), '')
  })
})

describe('the start', () => {
  it('of three nodes at once on an empty database creates the tables once', async (t) => {
    const empty = await cluster.createDatabase()

    const nodes = await Promise.all(range(1, 3).map(() => startServer(t, {}, empty)))

    const [ada, ...others] = await Promise.all(nodes.map((node) => join('person', node)))
    for (const person of others) assert.equal((await person.send(ada as Person, 'hello')).status, 201)
    assert.deepEqual(faultsOf(...nodes), [])
  })

  it('of a node with a clock that is a day wrong uses the database time', async (t) => {
    for (const days of [-1, 1]) {
      const bob = await join('bob')
      const setRight = setClockWrong(days * 86_400_000)
      atTheEnd(t, setRight)
      const wrong = await startServer(t, { TOKEN_TTL: '1h' }, database)
      const client = new Client(wrong)
      const name = newName('ada')
      const registered = await client.register(name)
      const login = await client.login(name)
      const ada = await client.enter(name)
      const sent = await ada.send(ada, 'hello')
      const user = await ada.user(ada)
      assert.equal(
        (await at(wrong, bob).poll({ wait: 0 })).status,
        200,
        'Tokens from elsewhere are good here.',
      )
      setRight()

      for (const time of [registered.body.createdAt, sent.body.sentAt, user.body.lastSeenAt])
        assert.ok(Math.abs(Date.parse(time) - Date.now()) < 10_000, `${days} days: ${time}`)
      const expiresMs = Date.parse(login.body.expiresAt) - Date.now()
      assert.ok(Math.abs(expiresMs - 3_600_000) < 10_000, login.body.expiresAt)
      assert.equal((await at(one, ada).poll({ wait: 0 })).status, 200, 'Its tokens are good elsewhere.')
      await wrong.stop()
    }
  })

  it('ends with one sentence, without the password, when DATABASE_URL is wrong', async (t) => {
    const good = await cluster.createDatabase()
    const change = (what: (url: URL) => void) => {
      const url = new URL(good)
      what(url)
      return url.href
    }
    const password = 's3cr3t-of-the-database'
    const mistakes = {
      'a wrong password': change((url) => {
        url.password = password
      }),
      'an unknown user': change((url) => {
        url.username = 'nobody'
        url.password = password
      }),
      'an unknown database': change((url) => {
        url.pathname = '/nowhere'
      }),
      'no such host': change((url) => {
        url.hostname = 'nowhere.invalid'
        url.password = password
      }),
      'a closed port': change((url) => {
        url.port = '1'
        url.password = password
      }),
      'a server without TLS': `${good}?sslmode=verify-full`,
      'a missing database name': change((url) => {
        url.pathname = '/'
        url.password = password
      }),
      'another kind of database': change((url) => {
        url.password = password
      }).replace('postgresql', 'mysql'),
      'an escape that is none': good.replace('restante:restante', `restante:%zz${password}`),
    }
    for (const [what, database] of Object.entries(mistakes)) {
      const sentence = await mistakeOf(startServer(t, {}, database))
      t.diagnostic(`${what}: ${sentence}`)
      assert.ok(!sentence.includes(password), `${what}: ${sentence}`)
      assert.doesNotMatch(sentence, /restante:restante/, what)
    }
  })
})

const faultsOf = (...nodes: RunningServer[]) =>
  nodes.flatMap(({ logs }) => logs.filter(({ level }) => level >= 50))

/** Then both have several database connections, which they keep for a while. */
async function warmUp(...nodes: RunningServer[]) {
  await Promise.all(nodes.flatMap((node) => range(1, 12).map(() => new Client(node).get('/readyz'))))
}

/** Cuts the connections on which the nodes of a database get notifications. */
async function silenceOf(t: TestContext, database: string) {
  const url = new URL(database)
  const name = url.pathname.slice(1)
  url.pathname = '/postgres'
  const admin = new pg.Client({ connectionString: url.href })
  await admin.connect()
  atTheEnd(t, () => admin.end())
  const LISTENERS = `FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'restante listener'`
  const interrupt = async () => {
    await admin.query(`SELECT pg_terminate_backend(pid, ${AT_ONCE_MS}) ${LISTENERS}`)
  }
  return {
    interrupt,
    /** The number of listening connections. */
    listeners: async () => (await admin.query(`SELECT ${LISTENERS}`)).rowCount,
    begin: async () => {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
      await interrupt()
    },
    end: async () => {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    },
  }
}
