import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import { newName, type Person, passwordOf, range } from './support/client.ts'
import { itOnPostgres, newDatabase } from './support/databases.ts'
import { endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { at } from './support/nodes.ts'
import { park } from './support/parked.ts'
import { Dormitory, PUSH, PUSH_WAY, type Sleeper, wakes } from './support/push.ts'
import { PushService } from './support/push-service.ts'
import { type Env, type StartedServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const ending = endOfSuite()
const service = PushService.start(ending)

/** A server for many tests, with people who sleep. */
function share(env: Env): () => Promise<{ server: StartedServer; room: Dormitory }> {
  let shared: Promise<{ server: StartedServer; room: Dormitory }> | undefined
  const open = async () => {
    const server = await startServer(ending, { ...PUSH, ...env }, undefined, {}, PUSH_WAY)
    return { server, room: await Dormitory.at(server, await service) }
  }
  return () => {
    shared ??= open()
    return shared
  }
}

const single = share({ PRESENCE_GRACE: '200ms' })
/** Where who has vanished counts as online for longer than there is time to acknowledge. */
const multi = share({ PRESENCE_GRACE: '30s', SESSION_POLICY: 'multi' })

/** How many subscriptions the store has of an account. */
const storedOf = ({ database }: StartedServer, { username }: Person) =>
  withSql(database, async ({ run }) => {
    const rows = await run(
      `SELECT push_subscription.id FROM push_subscription JOIN account ON account.id = account_id
        WHERE username = ?`,
      username,
    )
    return rows.length
  })

/** Polls and acknowledges as a client does, until it is stopped. */
function attend(person: Person) {
  const stopping = new AbortController()
  const done = (async () => {
    for (let cursor = 0; !stopping.signal.aborted; )
      cursor = (await person.poll({ after: cursor, wait: 5, signal: stopping.signal })).body.cursor
  })().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })
  return async () => {
    stopping.abort()
    await done
  }
}

describe('a message wakes who is absent', () => {
  it('by one hint, which says nothing but its number, and comes within 100 ms', async () => {
    const { room } = await single()
    const times: number[] = []
    for (const _ of range(1, 5)) {
      const ada = await room.sleeper()
      const sentMs = performance.now()
      await room.sender.send(ada.person, 'Good morning')
      assert.deepEqual(await ada.got(1), [1])
      times.push(performance.now() - sentMs)
      assert.deepEqual(ada.hints[0]?.hint, { type: 'message', newest: 1 })
    }
    // A busy machine makes some of them late.
    assert.ok(Math.min(...times) < 100, `${times} ms`)
  })

  it('and a thousand messages wake once', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await Promise.all(range(1, 1_000).map((number) => room.sender.send(ada.person, `message ${number}`)))
    await room.decided()

    assert.equal(ada.hints.length, 1)
  })

  for (const away of [false, true])
    it(`again when the session has read${away ? ', with a poll that is away' : ''}`, async () => {
      const { room } = await single()
      const ada = await room.sleeper()
      await room.sender.send(ada.person, 'one')
      await ada.got(1)
      await room.sender.send(ada.person, 'two')
      await room.decided()
      assert.deepEqual(ada.newest, [1])

      const { body } = await ada.read(away)
      assert.equal(body.messages.length, 2)
      await eventually('she is offline', async () => !(await room.sender.user(ada.person)).body.online)
      await room.sender.send(ada.person, 'three')
      assert.deepEqual(await ada.got(2), [1, 3])
      await room.sender.send(ada.person, 'four')
      await room.decided()

      assert.deepEqual(ada.newest, [1, 3])
    })

  it('again when the session has acknowledged what was hinted', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await room.sender.send(ada.person, 'one')
    await ada.got(1)
    await ada.person.acknowledge(1)
    await room.sender.send(ada.person, 'two')

    assert.deepEqual(await ada.got(2), [1, 2])
  })

  it('also when it was read by a poll that acknowledges and finds nothing, a moment ago', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await room.sender.send(ada.person, 'one')
    await ada.got(1)
    await ada.read(true)
    await room.sender.send(ada.person, 'two')
    await ada.got(2)
    // Two, because the second one finds the newest number in memory, and need not look into the store.
    for (const _ of range(1, 2)) await ada.person.poll({ after: 2, wait: 0, away: true })
    await room.sender.send(ada.person, 'three')

    assert.deepEqual(await ada.got(3), [1, 2, 3])
  })

  it('and neither a receipt wakes, nor a message that is refused', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    const grace = await room.sleeper()
    await ada.person.request('POST', '/v1/messages', {
      body: { to: grace.person.username, body: 'Hello', receipt: true },
    })
    await grace.got(1)
    await grace.person.acknowledge(1)
    await grace.person.block(room.sender)
    await room.sender.send(grace.person, 'Hello')
    await room.decided()

    assert.deepEqual([ada.newest, grace.newest], [[], [1]])
    assert.equal((await ada.read()).body.messages.length, 1, 'the receipt is there')
  })
})

describe('a session that is online is not woken', () => {
  it('when it acknowledges what it gets', async () => {
    const { room } = await multi()
    const ada = await room.sleeper()
    const stop = attend(ada.person)
    await eventually('she is online', async () => (await room.sender.user(ada.person)).body.online)
    for (const number of range(1, 20)) await room.sender.send(ada.person, `message ${number}`)
    await room.decidedLate()
    await stop()

    assert.deepEqual(ada.newest, [])
  })

  it('but is when it does not in time: a frozen phone keeps its connection', async (t) => {
    const { room } = await multi()
    const ada = await room.sleeper()
    // Both get the message. They are read no further, and the session is online for a while.
    for (const _ of range(1, 2)) await park(t, ada.person, 'wait=55')
    const sentMs = performance.now()
    await room.sender.send(ada.person, 'Hello')

    assert.deepEqual(await ada.got(1), [1])
    assert.ok(performance.now() - sentMs >= PUSH_WAY.hintTimes.acknowledgeMs, 'it had its time')
    assert.equal((await room.sender.user(ada.person)).body.online, true)
  })

  it('but is when it has vanished, and still counts as online', async (t) => {
    const { room } = await multi()
    const ada = await room.sleeper()
    const poll = await park(t, ada.person, 'wait=55')
    poll.socket.destroy()
    await room.sender.send(ada.person, 'Hello')

    assert.deepEqual(await ada.got(1), [1])
  })

  it('and an open laptop does not silence the phone', async () => {
    const { room } = await multi()
    const phone = await room.sleeper()
    const laptop = await wakes(await room.client.enter(phone.person.username), room.service)
    const stop = attend(laptop.person)
    await eventually('it is online', async () => (await room.sender.user(phone.person)).body.online)
    await room.sender.send(phone.person, 'Hello')
    assert.deepEqual(await phone.got(1), [1])
    await room.decidedLate()
    await stop()

    assert.deepEqual([phone.newest, laptop.newest], [[1], []])
  })
})

describe('a subscription ends with its session', () => {
  const ends: Record<string, (ada: Sleeper, server: StartedServer, room: Dormitory) => Promise<unknown>> = {
    'by logout': ({ person }) => person.logout(),
    'by takeover': ({ person }, _, room) => room.client.enter(person.username, { takeover: true }),
    'by a new password that another session sets': async ({ person }, server) => {
      await server.operator.administration.setPassword(person.username, 'another password')
    },
    'when the account is disabled': ({ person }, server) =>
      server.operator.administration.disable(person.username),
    'when the account is deleted': ({ person }) =>
      person.request('POST', '/v1/me/delete', { body: { password: passwordOf(person.username) } }),
  }
  for (const [how, end] of Object.entries(ends))
    it(how, async () => {
      const { server, room } = await single()
      const ada = await room.sleeper()
      assert.equal(await storedOf(server, ada.person), 1)
      await end(ada, server, room)

      assert.equal(await storedOf(server, ada.person), 0)
      await room.sender.send(ada.person, 'Hello')
      await room.decided()
      assert.deepEqual(ada.newest, [])
    })

  it('and not when its token expires, nor when what has expired is purged', async (t) => {
    const { room } = await single()
    const server = await startServer(t, PUSH, undefined, {}, PUSH_WAY)
    const own = await Dormitory.at(server, room.service)
    const [ada, bob] = [await own.sleeper(), await own.client.join('bob')]
    await server.stop()
    await withSql(server.database, ({ run }) =>
      run('UPDATE session SET expires_at = ?', new Date(Date.now() - 10 * 86_400_000)),
    )
    const again = await startServer(t, PUSH, server.database, {}, PUSH_WAY)
    await eventually('the session of bob is purged', () =>
      withSql(server.database, async ({ run }) => {
        const rows = await run(
          'SELECT session.id FROM session JOIN account ON account.id = account_id WHERE username = ?',
          bob.username,
        )
        return rows.length === 0
      }),
    )
    const later = await Dormitory.at(again, room.service)
    await later.sender.send(ada.person, 'Hello')

    assert.deepEqual(await ada.got(1), [1])
  })

  it('or when neither it nor its session was used for 60 days', async (t) => {
    const { room } = await single()
    const server = await startServer(t, PUSH, undefined, {}, PUSH_WAY)
    const own = await Dormitory.at(server, room.service)
    const [ada, grace] = [await own.sleeper(), await own.sleeper()]
    await server.stop()
    const longAgo = new Date(Date.now() - 61 * 86_400_000)
    await withSql(server.database, async ({ run }) => {
      await run('UPDATE push_subscription SET used_at = ?', longAgo)
      await run(
        'UPDATE session SET last_seen_at = ? WHERE account_id = (SELECT id FROM account WHERE username = ?)',
        new Date(),
        grace.person.username,
      )
    })
    const again = await startServer(t, PUSH, server.database, {}, PUSH_WAY)

    await eventually('it has ended', async () => (await storedOf(again, ada.person)) === 0)
    assert.equal(await storedOf(again, grace.person), 1)
  })
})

describe('a push subscription', () => {
  it('is listed, renewed by registering it again, and ended by any session of its account', async () => {
    const { room } = await multi()
    const ada = await room.sleeper()
    const other = await room.client.enter(ada.person.username)
    const [first] = (await other.subscriptions()).body.subscriptions
    const again = (await ada.person.subscribe(ada.subscription)).body

    assert.deepEqual(again, first)
    assert.equal(first.endpoint, ada.subscription.endpoint)
    assert.equal((await room.sender.unsubscribe(first.id)).status, 404)
    assert.equal((await other.unsubscribe(first.id)).status, 204)
    assert.equal((await other.unsubscribe(first.id)).status, 404)
    assert.deepEqual((await ada.person.subscriptions()).body.subscriptions, [])
  })

  it('is taken with padding, and with members that nobody knows yet', async () => {
    const { room } = await single()
    const ada = await room.client.join(newName('ada'))
    const { endpoint, keys } = room.service.subscribe()
    const given = {
      ...{ endpoint, expirationTime: 1_795_000_000_000, contentEncoding: 'aes128gcm', later: { a: [1] } },
      keys: { p256dh: `${keys.p256dh}=`, auth: `${keys.auth}==`, later: 'x' },
    }
    assert.equal((await ada.subscribe(given)).status, 201)
    await room.sender.send(ada, 'Hello')
    await eventually('she is woken', () => room.service.received.some((hint) => hint.endpoint === endpoint))
  })

  it('is refused when its keys are none, or its endpoint is not allowed, with all that is wrong', async () => {
    const { room } = await single()
    const { endpoint, keys } = room.service.subscribe()
    const notOnTheCurve = Buffer.alloc(65, 1).fill(4, 0, 1).toString('base64url')
    const pointersOf = async (given: unknown) => {
      const { status, body } = await room.sender.subscribe(given)
      assert.equal(status, 400)
      return body.errors.map(({ pointer }: { pointer: string }) => pointer)
    }
    assert.deepEqual(await pointersOf({ endpoint: 'http://a', keys: { ...keys, p256dh: notOnTheCurve } }), [
      '/endpoint',
      '/keys/p256dh',
    ])
    assert.deepEqual(await pointersOf({ endpoint, keys: { p256dh: 'x', auth: 'x' } }), [
      '/keys/p256dh',
      '/keys/auth',
    ])
    assert.deepEqual(await pointersOf({ endpoint: `https://a.example/${'ä'.repeat(700)}`, keys }), [
      '/endpoint',
    ])
    assert.deepEqual(await pointersOf({ endpoint: `https://a.example/${'a'.repeat(2_048)}`, keys }), [
      '/endpoint',
    ])
  })

  it('moves with its endpoint and keys, is replaced by its own account, and is taken for others', async () => {
    const { room } = await multi()
    const ada = await room.sleeper()
    const laptop = await room.client.enter(ada.person.username)
    const grace = await room.client.join(newName('grace'))
    const { endpoint } = ada.subscription
    const otherKeys = { ...room.service.subscribe(), endpoint }

    assert.equal((await grace.subscribe(otherKeys)).body.code, 'endpoint_taken')
    assert.equal((await laptop.subscribe(otherKeys)).status, 201)
    assert.equal((await grace.subscribe(ada.subscription)).body.code, 'endpoint_taken')
    assert.equal((await laptop.subscribe(ada.subscription)).status, 201)
    // The session that made it ends, and it is that of the other by now.
    await ada.person.logout()
    assert.equal((await laptop.subscriptions()).body.subscriptions.length, 1)
    // The same browser, with another account.
    assert.equal((await grace.subscribe(ada.subscription)).status, 201)
    assert.deepEqual((await laptop.subscriptions()).body.subscriptions, [])
    await room.sender.send(laptop, 'not for her')
    await room.sender.send(grace, 'one')
    assert.deepEqual(await ada.got(1), [1])
    await room.decided()
    assert.deepEqual(ada.newest, [1])
  })

  it('is one of ten at most, exactly, however many are made at once', async () => {
    const { room } = await single()
    const ada = await room.client.join(newName('ada'))
    const answers = await Promise.all(range(1, 20).map(() => ada.subscribe(room.service.subscribe())))
    const codes = answers.map(({ status, body }) => body.code ?? status)

    assert.equal(codes.filter((code) => code === 201).length, 10)
    assert.equal(codes.filter((code) => code === 'too_many_subscriptions').length, 10)
    const { subscriptions } = (await ada.subscriptions()).body
    assert.equal(subscriptions.length, 10)
    await ada.unsubscribe(subscriptions[0].id)
    assert.equal((await ada.subscribe(room.service.subscribe())).status, 201)
  })

  it('is one when many register it at once', async () => {
    const { room } = await single()
    const [ada, grace] = [await room.client.join(newName('ada')), await room.client.join(newName('grace'))]
    const subscription = room.service.subscribe()
    const statuses = await Promise.all(
      range(1, 10).flatMap(() => [ada, grace].map(async (who) => (await who.subscribe(subscription)).status)),
    )
    assert.deepEqual(new Set(statuses), new Set([201]))
    const both = await Promise.all([ada, grace].map(async (who) => (await who.subscriptions()).body))
    assert.equal(both.flatMap(({ subscriptions }) => subscriptions).length, 1)
  })

  it('ends when its service does not know it, and stays when that fails', async () => {
    const { server, room } = await single()
    const [gone, failing] = [await room.sleeper(), await room.sleeper()]
    room.service.replyWith({ status: 410 })
    await room.sender.send(gone.person, 'one')
    await gone.got(1)
    await eventually('it is gone', async () => (await storedOf(server, gone.person)) === 0)

    room.service.replyWith({ status: 413 })
    await room.sender.send(failing.person, 'one')
    await failing.got(1)
    await eventually('its mark is taken back', () =>
      withSql(server.database, async ({ run }) => {
        const rows = await run(
          'SELECT hinted_until FROM push_subscription WHERE endpoint = ? AND hinted_until IS NULL',
          failing.subscription.endpoint,
        )
        return rows.length === 1
      }),
    )
    await room.sender.send(failing.person, 'two')
    assert.deepEqual(await failing.got(2), [1, 2])
  })
})

describe('of several nodes', () => {
  const nodes = async (t: TestContext) => {
    const database = await newDatabase(t)
    const start = () => startServer(t, PUSH, database, {}, PUSH_WAY)
    const servers = [await start(), await start()] as const
    const rooms = await Promise.all(servers.map(async (node) => Dormitory.at(node, await service)))
    return { servers, rooms: rooms as [Dormitory, Dormitory] }
  }

  itOnPostgres('one sends a hint, when messages come through both at once', async (t) => {
    const { rooms } = await nodes(t)
    const sleepers = await Promise.all(range(1, 20).map(() => rooms[0].sleeper()))
    await Promise.all(
      rooms.flatMap(({ sender }) => sleepers.map(({ person }) => sender.send(person, 'Hello'))),
    )
    for (const room of rooms) await room.decided()
    assert.deepEqual(
      sleepers.map(({ hints }) => hints.length),
      sleepers.map(() => 1),
    )

    // And one takes the mark back, when it is read through.
    await Promise.all(sleepers.map(({ person }) => at(rooms[1].client, person).poll({ wait: 0, away: true })))
    await Promise.all(sleepers.map(({ person }) => rooms[0].sender.send(person, 'Once more')))
    await Promise.all(sleepers.map((sleeper) => sleeper.got(2)))
  })

  itOnPostgres('none wakes who polls another one, and each does when that is frozen', async (t) => {
    const { servers, rooms } = await nodes(t)
    const [awake, frozen] = [await rooms[0].sleeper(), await rooms[0].sleeper()]
    const stop = attend(at(servers[1], awake.person))
    await park(t, at(servers[1], frozen.person), 'wait=55')
    for (const { person } of [awake, frozen])
      await eventually('it is online', async () => (await rooms[0].sender.user(person)).body.online)
    const sentMs = performance.now()
    for (const { person } of [frozen, awake]) await rooms[0].sender.send(person, 'Hello')

    assert.deepEqual(await frozen.got(1), [1])
    assert.ok(performance.now() - sentMs >= PUSH_WAY.hintTimes.acknowledgeMs, 'it had its time')
    await rooms[0].decidedLate()
    await stop()
    assert.deepEqual(awake.newest, [])
  })

  it('one goes on when another one was killed before it could send', async () => {
    const { server, room } = await single()
    const ada = await room.sleeper()
    const claimedUntil = new Date(Date.now() + 1_500)
    await withSql(server.database, ({ run }) =>
      run(
        "UPDATE push_subscription SET hinted_seq = 1, hinted_until = ?, claim = 'of another' WHERE endpoint = ?",
        claimedUntil,
        ada.subscription.endpoint,
      ),
    )
    await room.sender.send(ada.person, 'Hello')

    assert.deepEqual(await ada.got(1), [1])
    assert.ok(Date.now() >= claimedUntil.getTime() - 1, 'not before the claim has run out')
  })
})

test('a claim that a killed node has made when its clock was wrong holds nobody up', async () => {
  const { server, room } = await single()
  const ada = await room.sleeper()
  await withSql(server.database, ({ run }) =>
    run(
      "UPDATE push_subscription SET hinted_seq = 1, hinted_until = ?, claim = 'of another' WHERE endpoint = ?",
      new Date(Date.now() + 10 * 3_600_000),
      ada.subscription.endpoint,
    ),
  )
  await room.sender.send(ada.person, 'Hello')

  assert.deepEqual(await ada.got(1), [1])
})

test('after a restart nobody is hinted again, and nobody who has unread messages is by itself', async (t) => {
  const { room } = await single()
  const first = await startServer(t, PUSH, undefined, {}, PUSH_WAY)
  const before = await Dormitory.at(first, room.service)
  const [hinted, unread] = [await before.sleeper(), await before.sleeper()]
  await before.sender.send(hinted.person, 'one')
  await hinted.got(1)
  await before.sender.send(unread.person, 'one')
  await unread.got(1)
  await unread.read()
  await before.decided()
  await first.stop()

  const server = await startServer(t, PUSH, first.database, {}, PUSH_WAY)
  const after = await Dormitory.at(server, room.service)
  await after.decided()
  await after.sender.send(hinted.person, 'two')
  await after.decided()
  assert.deepEqual([hinted.newest, unread.newest], [[1], [1]])

  await after.sender.send(unread.person, 'two')
  assert.deepEqual(await unread.got(2), [1, 2])
})

test('where push is off nobody is woken, and subscriptions can be ended', async (t) => {
  const { room } = await single()
  const on = await startServer(t, PUSH, undefined, {}, PUSH_WAY)
  const before = await Dormitory.at(on, room.service)
  const ada = await before.sleeper()
  assert.equal((await ada.person.request('GET', '/v1/push')).body.enabled, true)
  await on.stop()

  const off = await startServer(t, {}, on.database)
  const person = at(off, ada.person)
  assert.deepEqual((await person.request('GET', '/v1/push')).body, { enabled: false })
  assert.equal((await person.subscribe(room.service.subscribe())).body.code, 'push_disabled')
  const [{ id }] = (await person.subscriptions()).body.subscriptions
  assert.equal((await person.unsubscribe(id)).status, 204)
})
