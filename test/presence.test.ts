import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adaAndBob, Client, newName, seqsOf } from './support/client.ts'
import { AT_ONCE_MS, eventually, throughout } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { shareServer, startServer } from './support/servers.ts'

describe('being online', () => {
  const server = shareServer()
  const withoutGrace = shareServer({ PRESENCE_GRACE: '0s' })
  const withSecondsOfGrace = shareServer({ PRESENCE_GRACE: '3s', SESSION_POLICY: 'multi' })

  it('is not caused by a registration or a login', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const stranger = newName('carol')
    await client.register(stranger)

    const registered = (await bob.user(stranger)).body
    const loggedIn = (await bob.user(ada)).body

    assert.deepEqual(registered, { username: stranger, displayName: stranger, online: false })
    assert.equal(loggedIn.online, false)
    assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
  })

  it('begins with a poll, is shown to senders, and concerns only one account', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    const carol = await client.join(newName('carol'))
    await park(t, ada)

    assert.equal((await bob.user(ada)).body.online, true)
    assert.equal((await bob.user(carol)).body.online, false)
    assert.equal((await bob.send(ada, 'hello')).body.delivery, 'live')
    assert.equal((await bob.send(carol, 'hello')).body.delivery, 'stored')
  })

  it('lasts for the grace time after a poll, and ends with it', async (t) => {
    const { ada, bob } = await adaAndBob(await withSecondsOfGrace())
    const poll = await park(t, ada, 'wait=55')
    const droppedAtMs = Date.now()
    poll.socket.destroy()

    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)

    assert.ok(Date.now() - droppedAtMs >= 2_950, `offline after ${Date.now() - droppedAtMs} ms`)
    assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
  })

  it('does not depend on how the poll ended: an answer starts the grace time, too', async () => {
    const { ada, bob } = await adaAndBob(await withSecondsOfGrace())
    // The time of the answer is between the request and its arrival at the client.
    const askedAtMs = Date.now()
    await ada.poll({ wait: 0 })

    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)

    assert.ok(Date.now() - askedAtMs >= 2_950, `offline after ${Date.now() - askedAtMs} ms`)
  })

  it('does not come back by itself when it has ended', async () => {
    const { ada, bob } = await adaAndBob(await withoutGrace())
    await ada.poll({ wait: 0 })

    await throughout(1_500, async () => assert.equal((await bob.user(ada)).body.online, false))
  })

  it('lasts beyond the grace time while a poll is parked', async (t) => {
    const { ada, bob } = await adaAndBob(await withoutGrace())
    const poll = await park(t, ada, 'wait=2')

    // The sweep runs every second.
    await throughout(1_500, async () => assert.equal((await bob.user(ada)).body.online, true))
    assert.equal((await poll.answer()).status, 200)
    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)
  })

  it('ends at once with a logout, also within the grace time', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    await park(t, ada)

    await ada.logout()

    assert.equal((await bob.user(ada)).body.online, false)
    const { status } = await client.login(ada.username)
    assert.equal(status, 200, 'nobody is locked out')
  })

  it('ends with a takeover until the newer session polls', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada)

    const newer = await client.enter(ada.username, { takeover: true })
    assert.equal((await poll.answer()).status, 401)
    assert.equal((await bob.user(ada)).body.online, false)

    await newer.poll({ wait: 0 })
    assert.equal((await bob.user(ada)).body.online, true)
  })

  it('lasts when one of two sessions ends', async () => {
    const { client, ada, bob } = await adaAndBob(await withSecondsOfGrace())
    const phone = await client.enter(ada.username)
    await phone.poll({ wait: 0 })
    const askedAtMs = Date.now()
    await ada.poll({ wait: 0 })

    await phone.logout()
    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)

    assert.ok(Date.now() - askedAtMs >= 2_950, `offline after ${Date.now() - askedAtMs} ms`)
  })

  it('shows when an account was last seen: now while a poll is parked, then when it ended', async (t) => {
    const { ada, bob } = await adaAndBob(await withoutGrace())
    const seen = async () => Date.parse((await bob.user(ada)).body.lastSeenAt)
    const poll = await park(t, ada, 'wait=55')

    const beforeMs = Date.now()
    const waitingMs = await seen()
    assert.ok(waitingMs >= beforeMs && waitingMs <= Date.now(), 'now')

    const droppedAtMs = Date.now()
    poll.socket.destroy()
    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)
    const offlineAtMs = Date.now()
    const afterMs = await seen()
    assert.ok(afterMs >= droppedAtMs && afterMs <= offlineAtMs, `${afterMs - droppedAtMs} ms after the end`)

    // The mailbox is swept, but the store keeps the date.
    await eventually(
      'it stays so',
      async () => Date.now() > offlineAtMs + 2_000 || (await seen()) !== afterMs,
    )
    assert.equal(await seen(), afterMs)
  })

  it('counts a login and a logout as last seen', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const seen = async () => Date.parse((await bob.user(ada)).body.lastSeenAt)

    const loginAtMs = Date.now()
    const newer = await client.enter(ada.username)
    await eventually('the login is seen', async () => (await seen()) >= loginAtMs)

    const logoutAtMs = Date.now()
    await newer.logout()
    await eventually('the logout is seen', async () => (await seen()) >= logoutAtMs)
  })

  it('never moves lastSeenAt back', async (t) => {
    const { client, ada, bob } = await adaAndBob(await withoutGrace())
    let lastMs = 0
    const look = async () => {
      const seenAtMs = Date.parse((await bob.user(ada)).body.lastSeenAt ?? 0)
      assert.ok(seenAtMs >= lastMs, `${lastMs - seenAtMs} ms earlier than before`)
      lastMs = seenAtMs
    }

    const poll = await park(t, ada, 'wait=55')
    await look()
    poll.socket.destroy()
    const newer = await client.enter(ada.username, { takeover: true })
    await look()
    await newer.poll({ wait: 0 })
    await look()
    await newer.logout()
    await throughout(1_500, look)
  })

  describe('with polls with away', () => {
    it('does not begin: a login is not refused, delivery is "stored", and lastSeenAt does not change', async (t) => {
      const { client, ada, bob } = await adaAndBob(await server())
      await bob.send(ada, 'hello')
      const before = (await bob.user(ada)).body
      const poll = await park(t, ada, 'after=1&wait=55&away=true')

      assert.deepEqual((await bob.user(ada)).body, before)
      assert.equal((await bob.send(ada, 'a hint')).body.delivery, 'stored')
      const { status, body } = await poll.answer()
      assert.deepEqual([status, seqsOf(body.messages)], [200, [2]], 'it is served like any other')

      await ada.poll({ after: 2, wait: 0, away: true })
      assert.deepEqual((await bob.user(ada)).body, before, 'no grace time follows')
      assert.equal((await ada.me()).body.inbox.acknowledged, 2, 'it acknowledges')
      assert.equal((await client.login(ada.username)).status, 200)
    })

    it('does not depend on them: other polls of the same session make it online, before and after', async (t) => {
      const { client, ada, bob } = await adaAndBob(await server())
      const online = async () => (await bob.user(ada)).body.online
      await bob.send(ada, 'hello')
      const away = await park(t, ada, 'after=1&wait=55&away=true')
      await ada.poll({ wait: 0, away: false })
      assert.equal(await online(), true, 'within the grace time')
      assert.equal((await client.login(ada.username)).body.code, 'already_online')

      const here = await park(t, ada, 'after=1&wait=55')
      assert.equal((await bob.send(ada, 'to both')).body.delivery, 'live')
      for (const poll of [away, here]) assert.deepEqual(seqsOf((await poll.answer()).body.messages), [2])
    })

    it('ends after the grace time, and the date of the last other poll stays', async (t) => {
      const { client, ada, bob } = await adaAndBob(await withoutGrace())
      const seen = async () => Date.parse((await bob.user(ada)).body.lastSeenAt)
      await bob.send(ada, 'hello')
      const here = await park(t, ada, 'after=1&wait=55')
      await ada.poll({ after: 1, wait: 0, away: true })
      const away = ada.poll({ after: 1, wait: 3, away: true })
      here.socket.destroy()
      await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)
      const offlineAtMs = Date.now()

      await eventually('the sweep has come', async () => Date.now() > offlineAtMs + 1_500)

      assert.ok((await seen()) <= offlineAtMs)
      assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
      await away
      assert.equal((await client.login(ada.username)).status, 200)
    })

    it('accepts true or false in the query, and nothing else', async () => {
      const { ada } = await adaAndBob(await server())
      for (const away of ['1', 'yes', 'TRUE', '']) {
        const { status, body } = await ada.request('GET', `/v1/inbox?wait=0&away=${away}`)
        assert.deepEqual([status, body.errors[0].pointer], [400, '/query/away'], away)
      }
    })
  })

  describe('that is hidden', () => {
    it('is hidden from others, and from senders, at once, until it is shown again', async (t) => {
      const { client, ada, bob } = await adaAndBob(await server())
      await park(t, ada, 'wait=55')
      const hidden = { username: ada.username, displayName: ada.username }
      assert.equal((await bob.user(ada)).body.online, true)
      assert.equal((await bob.send(ada, 'hello')).body.delivery, 'live')

      assert.equal((await ada.update({ presence: 'nobody' })).body.presence, 'nobody')
      assert.deepEqual((await bob.user(ada)).body, hidden)
      const poll = ada.poll({ after: 1, wait: 55 })
      assert.equal((await bob.send(ada, 'hello', 'key-1')).body.delivery, 'stored')
      assert.deepEqual(seqsOf((await poll).body.messages), [2], 'the message comes at once')
      assert.equal((await client.login(ada.username)).body.code, 'already_online', 'its owner learns it')

      await ada.update({ presence: 'everyone' })
      assert.equal((await bob.user(ada)).body.online, true)
      assert.equal((await bob.send(ada, 'hello')).body.delivery, 'live')
      assert.equal(
        (await bob.send(ada, 'hello', 'key-1')).body.delivery,
        'stored',
        'as it was answered first',
      )
    })
  })

  it('locks no one out: a login is never delayed by earlier presence', async (t) => {
    const { client, ada } = await adaAndBob(await withoutGrace())
    const poll = await park(t, ada, 'wait=55')
    assert.equal((await client.login(ada.username)).body.code, 'already_online')
    poll.socket.destroy()

    await eventually(
      'ada can log in',
      async () => (await client.login(ada.username)).status === 200,
      AT_ONCE_MS,
    )
  })

  // The last one, because it stops a shared server.
  it('survives a restart as a date, not as presence', async (t) => {
    const first = await withoutGrace()
    const { ada, bob, client } = await adaAndBob(first)
    const carol = await client.join(newName('carol'))
    await carol.poll({ wait: 0 })
    const carolSeenAt = (await bob.user(carol)).body.lastSeenAt
    await park(t, ada, 'wait=55')
    const beforeMs = Date.now()
    await first.stop()
    const stoppedAtMs = Date.now()

    const second = new Client(await startServer(t, { PRESENCE_GRACE: '0s' }, first.database))
    const seen = async (username: string) =>
      (await second.get(`/v1/users/${username}`, { token: bob.token })).body
    const { online, lastSeenAt } = await seen(ada.username)
    assert.equal(online, false)
    const seenAtMs = Date.parse(lastSeenAt)
    assert.ok(seenAtMs >= beforeMs && seenAtMs <= stoppedAtMs, lastSeenAt)
    assert.equal((await seen(carol.username)).lastSeenAt, carolSeenAt, 'she had just gone offline')
  })
})
