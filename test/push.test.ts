import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readVapidKeys } from '../src/config/push.ts'
import { Vapid } from '../src/push/vapid.ts'
import { newName, type Person, passwordOf, range } from './support/client.ts'
import { itOnPostgres } from './support/databases.ts'
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

/** Shared by many tests: opened when the first one needs it. */
function shared<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined
  return () => {
    opened ??= open()
    return opened
  }
}

/** A server with sleeping people. */
async function open(env: Env = {}, database?: string): Promise<{ server: StartedServer; room: Dormitory }> {
  const server = await startServer(ending, { ...PUSH, ...env }, database, {}, PUSH_WAY)
  return { server, room: await Dormitory.at(server, await service) }
}

/** With an older key, which subscriptions may use. */
const KEYS = `${PUSH['VAPID_KEYS']},q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94`

const single = shared(() => open({ PRESENCE_GRACE: '200ms', VAPID_KEYS: KEYS }))
/** A vanished client counts as online for longer than the time to acknowledge. */
const multi = shared(() => open({ PRESENCE_GRACE: '30s', SESSION_POLICY: 'multi' }))

/** The number of subscriptions of an account in the store. */
const storedOf = ({ database }: StartedServer, { username }: Person) =>
  withSql(database, async ({ run }) => {
    const rows = await run(
      `SELECT push_subscription.id FROM push_subscription JOIN account ON account.id = account_id
        WHERE username = ?`,
      username,
    )
    return rows.length
  })

/** Polls and acknowledges like a client, until it is stopped. */
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

describe('a message wakes an absent recipient', () => {
  it('by one hint, which contains only its number, and comes within 100 ms', async () => {
    const { room } = await single()
    const hint = async () => {
      const ada = await room.sleeper()
      const sentMs = performance.now()
      await room.sender.send(ada.person, 'Good morning')
      assert.deepEqual(await ada.got(1), [1])
      const ms = performance.now() - sentMs
      assert.deepEqual(ada.hints[0]?.hint, { type: 'message', newest: 1 })
      return ms
    }
    // A busy machine makes most of them late, and never all.
    await eventually('one comes within 100 ms', async () => (await hint()) < 100)
  })

  it('and a hundred messages wake once', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await Promise.all(range(1, 100).map((number) => room.sender.send(ada.person, `message ${number}`)))
    await room.decided()

    assert.equal(ada.hints.length, 1)
  })

  for (const away of [false, true])
    it(`again when the session has read${away ? ', with away' : ''}`, async () => {
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

  it('again when the session has acknowledged the hinted message', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await room.sender.send(ada.person, 'one')
    await ada.got(1)
    await ada.person.acknowledge(1)
    await room.sender.send(ada.person, 'two')

    assert.deepEqual(await ada.got(2), [1, 2])
  })

  it('even when a poll has just acknowledged and found nothing', async () => {
    const { room } = await single()
    const ada = await room.sleeper()
    await room.sender.send(ada.person, 'one')
    await ada.got(1)
    await ada.read(true)
    await room.sender.send(ada.person, 'two')
    await ada.got(2)
    // Two, because the second one finds the newest number in memory, without reading the store.
    for (const _ of range(1, 2)) await ada.person.poll({ after: 2, wait: 0, away: true })
    await room.sender.send(ada.person, 'three')

    assert.deepEqual(await ada.got(3), [1, 2, 3])
  })

  it('but receipts and refused messages do not', async () => {
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
  it('when it acknowledges its messages', async () => {
    const { room } = await multi()
    const ada = await room.sleeper()
    const stop = attend(ada.person)
    await eventually('she is online', async () => (await room.sender.user(ada.person)).body.online)
    for (const number of range(1, 20)) await room.sender.send(ada.person, `message ${number}`)
    await room.decidedLate()
    await stop()

    assert.deepEqual(ada.newest, [])
  })

  it('unless it does not acknowledge in time: a frozen phone keeps its connection', async (t) => {
    const { room } = await multi()
    const ada = await room.sleeper()
    // Both get the message. They read no further, and the session stays online for a while.
    for (const _ of range(1, 2)) await park(t, ada.person, 'wait=55')
    const sentMs = performance.now()
    await room.sender.send(ada.person, 'Hello')

    assert.deepEqual(await ada.got(1), [1])
    assert.ok(performance.now() - sentMs >= PUSH_WAY.hintTimes.acknowledgeMs, 'it had its time')
    assert.equal((await room.sender.user(ada.person)).body.online, true)
  })

  it('unless it has vanished, and still counts as online', async (t) => {
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
    'when another session changes the password': async ({ person }, server) => {
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

  it('is accepted with padding, and with unknown members', async () => {
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

  it('is refused when its keys are invalid or its endpoint is not allowed, with all faults', async () => {
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

  it('moves with its endpoint and keys, can be replaced by its own account, and by no other', async () => {
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
    // The session that made it ends, but by now it belongs to the other session.
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

  it('is one of at most ten, exactly, however many are made at once', async () => {
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

  it('is stored once when many register it at once', async () => {
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

  it('keeps its key when it is registered again, or gets the current one if the server has lost that key', async () => {
    const { server, room } = await single()
    const [current, old] = readVapidKeys(KEYS) ?? []
    assert.ok(current && old)
    const madeWith = async (sleeper: Sleeper, id: string) => {
      await withSql(server.database, ({ run }) =>
        run('UPDATE push_subscription SET key_id = ? WHERE endpoint = ?', id, sleeper.subscription.endpoint),
      )
      await room.sender.send(sleeper.person, 'one')
      await room.decided()
      await sleeper.person.acknowledge(1)
      await sleeper.person.subscribe(sleeper.subscription)
      await room.sender.send(sleeper.person, 'two')
      await eventually('it is hinted', () => sleeper.newest.includes(2))
      return sleeper.hints.map(({ hint, key }) => [hint.newest, key])
    }
    const oldId = new Vapid([old], 'mailto:a@example.org').current.id
    assert.deepEqual(await madeWith(await room.sleeper(), oldId), [
      [1, old.publicKey],
      [2, old.publicKey],
    ])
    assert.deepEqual(await madeWith(await room.sleeper(), 'lost'), [[2, current.publicKey]])
  })

  it('ends when its service does not know it, and stays when the service fails', async () => {
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
  const nodes = shared(async () => {
    const one = await open()
    return [one, await open({}, one.server.database)] as const
  })

  itOnPostgres('only one sends a hint when both get messages at once', async () => {
    const [one, other] = await nodes()
    const sleepers = await Promise.all(range(1, 20).map(() => one.room.sleeper()))
    await Promise.all(
      [one, other].flatMap(({ room: { sender } }) =>
        sleepers.map(({ person }) => sender.send(person, 'Hello')),
      ),
    )
    for (const { room } of [one, other]) await room.decided()
    assert.deepEqual(
      sleepers.map(({ hints }) => hints.length),
      sleepers.map(() => 1),
    )

    // And one removes the mark, after it has read everything.
    await Promise.all(
      sleepers.map(({ person }) => at(other.room.client, person).poll({ wait: 0, away: true })),
    )
    await Promise.all(sleepers.map(({ person }) => one.room.sender.send(person, 'Once more')))
    await Promise.all(sleepers.map((sleeper) => sleeper.got(2)))
  })

  itOnPostgres(
    'none wakes a session that polls another node, and each does when the session is frozen',
    async (t) => {
      const [one, other] = await nodes()
      const [awake, frozen] = [await one.room.sleeper(), await one.room.sleeper()]
      const stop = attend(at(other.server, awake.person))
      await park(t, at(other.server, frozen.person), 'wait=55')
      for (const { person } of [awake, frozen])
        await eventually('it is online', async () => (await one.room.sender.user(person)).body.online)
      const sentMs = performance.now()
      for (const { person } of [frozen, awake]) await one.room.sender.send(person, 'Hello')

      assert.deepEqual(await frozen.got(1), [1])
      assert.ok(performance.now() - sentMs >= PUSH_WAY.hintTimes.acknowledgeMs, 'it had its time')
      await one.room.decidedLate()
      await stop()
      assert.deepEqual(awake.newest, [])
    },
  )

  it('one takes over when another was killed before it could send', async () => {
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

  it('a claim that a killed node made with a wrong clock delays nobody', async () => {
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
})

describe('after a restart', () => {
  const restarted = shared(async () => {
    // No test needs this server later.
    const { server: first, room: before } = await single()
    const [expired, unused, read, hinted, unread] = await Promise.all(range(1, 5).map(() => before.sleeper()))
    assert.ok(expired && unused && read && hinted && unread)
    const without = await before.client.join(newName('bob'))
    for (const each of [hinted, unread]) {
      await before.sender.send(each.person, 'one')
      await each.got(1)
    }
    await unread.read()
    await before.decided()
    await first.stop()

    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000)
    await withSql(first.database, async ({ run }) => {
      const OF = 'account_id = (SELECT id FROM account WHERE username = ?)'
      for (const { username } of [expired.person, without])
        await run(`UPDATE session SET expires_at = ? WHERE ${OF}`, daysAgo(10), username)
      for (const { person } of [unused, read])
        await run(`UPDATE push_subscription SET used_at = ? WHERE ${OF}`, daysAgo(61), person.username)
      await run(`UPDATE session SET last_seen_at = ? WHERE ${OF}`, new Date(), read.person.username)
    })
    const { server, room } = await open({}, first.database)
    return { server, room, expired, without, unused, read, hinted, unread }
  })

  it('no hint is repeated, and none is sent for messages that are already unread', async () => {
    const { room, hinted, unread } = await restarted()
    await room.decided()
    await room.sender.send(hinted.person, 'two')
    await room.decided()
    assert.deepEqual([hinted.newest, unread.newest], [[1], [1]])

    await room.sender.send(unread.person, 'two')
    assert.deepEqual(await unread.got(2), [1, 2])
  })

  it('a phone whose token has expired is woken, even after a purge of expired sessions', async () => {
    const { server, room, expired, without } = await restarted()
    await eventually('the session without a subscription is purged', () =>
      withSql(server.database, async ({ run }) => {
        const rows = await run(
          'SELECT session.id FROM session JOIN account ON account.id = account_id WHERE username = ?',
          without.username,
        )
        return rows.length === 0
      }),
    )
    await room.sender.send(expired.person, 'Hello')

    assert.deepEqual(await expired.got(1), [1])
  })

  it('a subscription has ended when neither it nor its session was used for 60 days', async () => {
    const { server, unused, read } = await restarted()
    await eventually('it has ended', async () => (await storedOf(server, unused.person)) === 0)

    assert.equal(await storedOf(server, read.person), 1)
  })

  it('with push off nobody is woken, and subscriptions can be deleted', async (t) => {
    const { server, room, read } = await restarted()
    await server.stop()

    const off = await startServer(t, {}, server.database)
    const person = at(off, read.person)
    assert.deepEqual((await person.request('GET', '/v1/push')).body, { enabled: false })
    assert.equal((await person.subscribe(room.service.subscribe())).body.code, 'push_disabled')
    await at(off, room.sender).send(person, 'Hello')
    const [{ id }] = (await person.subscriptions()).body.subscriptions
    assert.equal((await person.unsubscribe(id)).status, 204)
    // A clean stop would send the due hints.
    await off.stop()
    assert.deepEqual(read.newest, [])
  })
})
