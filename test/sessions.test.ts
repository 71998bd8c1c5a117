import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { before, describe, it } from 'node:test'
import type { JWT } from '@fastify/jwt'
import { type Session, Sessions } from '../src/accounts/sessions.ts'
import { Tokens } from '../src/accounts/tokens.ts'
import type { Database } from '../src/database/database.ts'
import { adaAndBob, Client, newName, Person, passwordOf, range, seqsOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { asAfterCrash, itOnSqlite } from './support/databases.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { at } from './support/nodes.ts'
import { type ParkedPoll, park } from './support/parked.ts'
import { rawRequest } from './support/raw-http.ts'
import { shareServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { claimsOf } from './support/tokens.ts'

const MULTI = { SESSION_POLICY: 'multi', RETENTION: '0' }

const server = shareServer({ PRESENCE_GRACE: '1s' })
const multi = shareServer(MULTI)
const withTwoSeconds = shareServer({ TOKEN_TTL: '2s' })

describe('a login', () => {
  it('returns the offline messages, and again when its answer was lost', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const ids = await bob.sendMany(ada, 3)

    const lost = (await client.login(ada.username)).body
    const again = (await client.login(ada.username)).body

    assert.deepEqual(
      again.offlineMessages.map(({ seq, id, from, body }: Record<string, unknown>) => [seq, id, from, body]),
      ids.map((id, i) => [i + 1, id, bob.username, `message ${i + 1}`]),
    )
    assert.deepEqual([again.cursor, again.hasMore], [3, false])
    assert.deepEqual(lost.offlineMessages, again.offlineMessages)
    assert.equal((await bob.status(ids[0] ?? '')).body.state, 'stored')
  })

  it('returns messages that the first request to the inbox, or the logout, with its token acknowledges', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const requests: ((person: Person) => Promise<Answer>)[] = [
      (person) => person.poll({ wait: 0 }),
      (person) => person.poll({ after: 0, wait: 0 }),
      (person) => person.acknowledge(0),
      (person) => person.logout(),
    ]
    for (const request of requests) {
      const [id = ''] = await bob.sendMany(ada, 1)
      const person = await client.enter(ada.username, { takeover: true })
      assert.equal((await bob.status(id)).body.state, 'stored')

      await request(person)

      assert.equal((await bob.status(id)).body.state, 'delivered', String(request))
      const { offlineMessages } = (await client.login(ada.username, { takeover: true })).body
      assert.deepEqual(offlineMessages, [], String(request))
    }
  })

  it('returns messages that no other request acknowledges, and none that is refused', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const [id = ''] = await bob.sendMany(ada, 1)
    const requests: ((person: Person) => Promise<Answer>)[] = [
      (person) => person.user('nobody-by-that-name'),
      (person) => person.send(bob, 'hello'),
      (person) => person.request('POST', '/v1/token'),
      (person) => person.me(),
      (person) => person.update({ displayName: 'Ada' }),
      (person) => person.sessions(),
      (person) => person.endSession('of-nobody'),
      (person) => person.blocks(),
      (person) => person.status(id),
      async (person) => person.endSession((await person.sessions()).body.sessions[0].id),
      (person) => person.request('POST', '/v1/inbox/ack', { body: { cursor: 'not a number' } }),
      (person) => person.acknowledge(1_000),
      (person) => person.poll({ after: 1_000, wait: 0 }),
      (person) => person.request('GET', '/v1/inbox?limit=0'),
    ]
    for (const request of requests) {
      const person = await client.enter(ada.username, { takeover: true })

      await request(person)

      assert.equal((await bob.status(id)).body.state, 'stored', String(request))
      assert.equal((await bob.user(ada)).body.online, false, String(request))
      const { offlineMessages } = (await client.login(ada.username, { takeover: true })).body
      assert.equal(offlineMessages.length, 1, String(request))
    }
  })

  it('acknowledges with its token the page that it returned, and not the backlog after it', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await Promise.all(range(1, 15).map(() => bob.sendMany(ada, 14)))

    const login = (await client.login(ada.username)).body
    assert.deepEqual(seqsOf(login.offlineMessages), range(1, 100))
    assert.deepEqual([login.cursor, login.hasMore], [100, true])

    const reader = new Person(client, ada.username, login.token, login.cursor)
    const behind = (await reader.poll({ limit: 1 })).body
    assert.deepEqual(seqsOf(behind.messages), [101])
    const states = await Promise.all(
      [login.offlineMessages[0], login.offlineMessages[99], behind.messages[0]].map(({ id }) =>
        bob.status(id),
      ),
    )
    assert.deepEqual(
      states.map(({ body }) => body.state),
      ['delivered', 'delivered', 'stored'],
    )
    const next = (await client.login(ada.username, { takeover: true })).body
    assert.deepEqual(seqsOf(next.offlineMessages), range(101, 200))
  })

  it('does not acknowledge with its token what arrived after it', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 2)
    const reader = await client.enter(ada.username)
    const [id = ''] = await bob.sendMany(ada, 1)

    const { messages } = (await reader.poll()).body

    assert.deepEqual(seqsOf(messages), [3])
    assert.equal((await bob.status(id)).body.state, 'stored')
  })

  it('does not return messages that the former session has just acknowledged', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 3)

    await ada.poll({ after: 2 })
    const { offlineMessages } = (await client.login(ada.username, { takeover: true })).body

    assert.deepEqual(seqsOf(offlineMessages), [3])
  })
})

describe('the single session of an account', () => {
  it('is not ended by a login whose client has disconnected meanwhile', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const body = JSON.stringify({ username: ada.username, password: passwordOf(ada.username) })
    const { hostname, port } = new URL(client.url)
    const socket = connect(Number(port), hostname)

    // The login waits for the answer to the poll before it.
    socket.write(rawRequest('GET /v1/inbox?wait=50', [`Authorization: Bearer ${bob.token}`]))
    socket.write(rawRequest('POST /v1/login', ['Content-Type: application/json'], body))
    await eventually('both have arrived', async () => (await ada.user(bob)).body.online)
    socket.resetAndDestroy()
    // After these, the password of the login has been checked.
    await Promise.all(range(1, 20).map(() => client.login(newName('nobody'))))

    assert.equal((await ada.user(bob)).status, 200)
  })

  it('ends with the next login', async () => {
    const { client, ada } = await adaAndBob(await server())

    const newer = await client.enter(ada.username)

    assertSessionEnded(await ada.poll({ wait: 0 }))
    assert.equal((await newer.poll({ wait: 0 })).status, 200)
  })

  it('is not ended by a login while a poll waits: the account is online', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada, 'after=0')

    const refused = await client.login(ada.username)
    const unproven = await client.login(ada.username, { password: 'a wrong password', takeover: true })
    assert.deepEqual([refused.status, refused.body.code], [409, 'already_online'])
    assert.deepEqual([unproven.status, unproven.body.code], [401, 'invalid_credentials'])

    await bob.send(ada, 'still there?')
    assert.deepEqual(seqsOf((await poll.answer()).body.messages), [1])
    assert.equal((await ada.poll({ wait: 0 })).status, 200)
  })

  it('reveals that the account is online only after the right password', async (t) => {
    const { client, ada } = await adaAndBob(await server())
    await park(t, ada)

    const { status, body } = await client.login(ada.username, { password: 'a wrong password' })

    assert.deepEqual([status, body.code], [401, 'invalid_credentials'])
  })

  it('is not ended within the grace time after a poll, and is after it', async () => {
    const { client, ada } = await adaAndBob(await server())
    await ada.poll({ wait: 0 })
    assert.equal((await client.login(ada.username)).body.code, 'already_online')
    assert.equal((await ada.user(ada)).status, 200)

    await eventually('the login passes', async () => (await client.login(ada.username)).status === 200)

    assertSessionEnded(await ada.user(ada))
  })

  it('ends with a takeover, and its polls with it', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    const polls = [await park(t, ada, 'wait=55'), await park(t, ada, 'wait=55')]

    const newer = await client.enter(ada.username, { takeover: true })

    for (const poll of polls) assertSessionEnded(await atOnce(poll))
    assertSessionEnded(await ada.poll({ wait: 0 }))
    await bob.send(ada, 'hello')
    assert.deepEqual(seqsOf((await newer.poll()).body.messages), [1])
  })

  it('ends with a logout at once, and its polls with it; another login needs no takeover', async (t) => {
    const { client, ada } = await adaAndBob(await server())
    const poll = await park(t, ada, 'wait=55')

    assert.equal((await ada.logout()).status, 204)

    assertSessionEnded(await atOnce(poll))
    assertSessionEnded(await ada.logout())
    assert.equal((await client.login(ada.username)).status, 200)
  })

  it('ends with a logout only after its acknowledgements are on disk', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 3)
    await ada.poll({ after: 2 })

    await ada.logout()

    const { database } = await server()
    const restored = new Client(await startServer(t, {}, asAfterCrash(database)))
    assert.deepEqual(seqsOf((await restored.login(ada.username)).body.offlineMessages), [3])
  })

  it('continues, with its polls, when it changes the password', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada, 'after=0')

    const body = { current: passwordOf(ada.username), new: 'a better password' }
    assert.equal((await ada.request('PUT', '/v1/me/password', { body })).status, 204)

    await bob.send(ada, 'hello')
    assert.deepEqual(seqsOf((await poll.answer()).body.messages), [1])
    await ada.logout()
    assert.equal((await client.login(ada.username, { password: 'a better password' })).status, 200)
  })

  it('ends when the account is deleted, and its polls with it', async (t) => {
    const { ada } = await adaAndBob(await server())
    const poll = await park(t, ada, 'wait=55')

    const body = { password: passwordOf(ada.username) }
    assert.equal((await ada.request('POST', '/v1/me/delete', { body })).status, 204)

    assertSessionEnded(await atOnce(poll))
    assertSessionEnded(await ada.poll({ wait: 0 }))
  })

  it('is one when several clients log in at once: only one of their tokens is valid', async () => {
    const { client, ada } = await adaAndBob(await server())

    const logins = await Promise.all(range(1, 5).map(() => client.enter(ada.username)))
    const answers = await Promise.all(logins.map((login) => login.user(ada)))

    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401])
  })

  it('is one when several clients take over at once', async (t) => {
    const { client, ada } = await adaAndBob(await server())
    const poll = await park(t, ada, 'wait=55')

    const logins = await Promise.all(range(1, 4).map(() => client.enter(ada.username, { takeover: true })))
    assertSessionEnded(await atOnce(poll))
    const answers = await Promise.all(logins.map((login) => login.user(ada)))

    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401])
  })

  // On PostgreSQL, where other nodes may treat the killed one as alive for 8 s: test/nodes.test.ts.
  itOnSqlite('locks no one out after a crash with parked polls', async (t) => {
    const { url, database } = await server()
    const { ada } = await adaAndBob({ url })
    await park(t, ada, 'wait=55')

    const crashed = new Client(await startServer(t, {}, asAfterCrash(database)))

    const returned = await crashed.enter(ada.username)
    assert.equal((await returned.user(ada)).body.online, false)
  })

  it('is not ended by its polls, which may come and go', async (t) => {
    const { client, ada } = await adaAndBob(await server())
    const poll = await park(t, ada, 'wait=55')
    poll.socket.destroy()
    await eventually('ada is offline', async () => !(await ada.user(ada)).body.online)

    const again = await park(t, ada, 'wait=55')
    assert.equal((await client.login(ada.username)).body.code, 'already_online')
    again.socket.destroy()
  })
})

describe('sessions side by side', () => {
  it('all get a message, and a login is never refused', async (t) => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const onPhone = await park(t, phone, 'after=0')
    const laptop = await client.enter(phone.username)
    const onLaptop = await park(t, laptop, 'after=0')

    await bob.send(phone, 'hello')

    assert.deepEqual(seqsOf((await onPhone.answer()).body.messages), [1])
    assert.deepEqual(seqsOf((await onLaptop.answer()).body.messages), [1])
  })

  it('have a cursor each: the other still reads messages that one has acknowledged', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const ids = await bob.sendMany(phone, 3)

    await phone.acknowledge(2)

    assert.deepEqual(seqsOf((await phone.poll()).body.messages), [3])
    assert.deepEqual(seqsOf((await laptop.poll()).body.messages), [1, 2, 3])
    assert.equal((await bob.status(ids[1] ?? '')).body.state, 'delivered', 'by the first session')
    const tablet = (await client.login(phone.username)).body
    assert.deepEqual(seqsOf(tablet.offlineMessages), [3], 'a new one begins where the account is')
  })

  it('carry a conversation of an account with itself', async (t) => {
    const { client, ada: phone } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const polls = [await park(t, phone, 'after=0'), await park(t, laptop, 'after=0')]

    const { body: receipt } = await laptop.send(phone, 'a note to self')

    assert.equal(receipt.delivery, 'live')
    for (const poll of polls) {
      const [message] = (await poll.answer()).body.messages
      assert.deepEqual([message.seq, message.id, message.from], [1, receipt.id, phone.username])
    }
  })

  it('end separately: a logout leaves the others, and their polls', async (t) => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const onPhone = await park(t, phone, 'after=0')
    const onLaptop = await park(t, laptop, 'after=0')

    await phone.logout()

    assertSessionEnded(await atOnce(onPhone))
    await bob.send(phone, 'hello')
    assert.deepEqual(seqsOf((await onLaptop.answer()).body.messages), [1])
  })

  it('have eight polls each, which do not displace those of another session', async (t) => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const onLaptop = await park(t, laptop, 'after=0')
    const onPhone = []
    for (let i = 0; i < 8; i++) onPhone.push(await park(t, phone, 'after=0'))

    await bob.send(phone, 'hello')

    for (const poll of [onLaptop, ...onPhone])
      assert.deepEqual(seqsOf((await poll.answer()).body.messages), [1])
  })

  it('all end when the password changes, except the one that changed it', async (t) => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const onPhone = await park(t, phone, 'after=0&wait=55')
    const onLaptop = await park(t, laptop, 'after=0')

    const body = { current: passwordOf(phone.username), new: 'a better password' }
    await laptop.request('PUT', '/v1/me/password', { body })

    assertSessionEnded(await atOnce(onPhone))
    assertSessionEnded(await phone.user(phone))
    await bob.send(phone, 'hello')
    assert.deepEqual(seqsOf((await onLaptop.answer()).body.messages), [1])
  })

  it('all end when the account is deleted, and their polls with them', async (t) => {
    const { client, ada: phone } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const polls = [await park(t, phone, 'wait=55'), await park(t, laptop, 'wait=55')]

    await laptop.request('POST', '/v1/me/delete', { body: { password: passwordOf(phone.username) } })

    for (const poll of polls) assertSessionEnded(await atOnce(poll))
  })

  it('are at most ten: with one more the oldest ends, and its polls with it', async (t) => {
    const { client, ada: oldest } = await adaAndBob(await multi())
    const poll = await park(t, oldest, 'wait=55')
    const others: Person[] = []
    for (let i = 0; i < 9; i++) others.push(await client.enter(oldest.username))
    assert.equal((await oldest.user(oldest)).status, 200, 'the tenth leaves it')

    others.push(await client.enter(oldest.username))

    assertSessionEnded(await atOnce(poll))
    assertSessionEnded(await oldest.user(oldest))
    for (const other of others) assert.equal((await other.user(oldest)).status, 200)
  })

  it('keep a message until each of them has acknowledged it', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    await bob.sendMany(phone, 3)
    await phone.acknowledge(3)
    await afterWalk(bob)
    const all = (await laptop.poll({ after: 0 })).body
    assert.deepEqual([seqsOf(all.messages), all.gap], [[1, 2, 3], undefined])

    await laptop.acknowledge(2)
    await eventually('two are purged', async () => 'gap' in (await laptop.poll({ after: 0 })).body)

    const rest = (await phone.poll({ after: 0 })).body
    assert.deepEqual([seqsOf(rest.messages), rest.gap], [[3], { from: 1, to: 2, reason: 'purged' }])
  })

  it('keep no message after they have ended by a logout or with their tokens', async () => {
    const server = await multi()
    const { client, ada: phone, bob } = await adaAndBob(server)
    const [laptop, tablet] = [await client.enter(phone.username), await client.enter(phone.username)]
    await bob.sendMany(phone, 3)
    await phone.acknowledge(3)
    await laptop.logout()
    await afterWalk(bob)
    assert.deepEqual(seqsOf((await phone.poll({ after: 0 })).body.messages), [1, 2, 3])

    const tabletId = String(claimsOf(tablet.token)['sid'])
    await withSql(server.database, ({ run }) =>
      run('UPDATE session SET expires_at = ? WHERE id = ?', new Date(Date.now() - 1_000), tabletId),
    )

    await eventually('all are purged', async () => 'gap' in (await phone.poll({ after: 0, wait: 0 })).body)
    const { messages, gap } = (await phone.poll({ after: 0, wait: 0 })).body
    assert.deepEqual([messages, gap], [[], { from: 1, to: 3, reason: 'purged' }])
  })

  it('see no gap when they acknowledged the messages themselves', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    const [id = ''] = await bob.sendMany(phone, 2)
    await phone.acknowledge(2)
    await laptop.acknowledge(2)

    await eventually('they are purged', async () => (await bob.status(id)).status === 404)

    assert.deepEqual((await laptop.poll({ wait: 0 })).body, { messages: [], cursor: 2, hasMore: false })
  })
})

describe('a token', () => {
  it('ends its polls when it expires, and not before', async (t) => {
    const { client, ada } = await adaAndBob(await withTwoSeconds())
    const { token, expiresAt } = (await client.login(ada.username)).body
    const reader = new Person(client, ada.username, token, 0)
    const poll = await park(t, reader, 'wait=55')

    const answer = await poll.answer()

    const lateMs = Date.now() - Date.parse(expiresAt)
    assert.ok(lateMs >= -10 && lateMs < AT_ONCE_MS, `${lateMs} ms after its end`)
    assert.deepEqual([answer.status, answer.body.code], [401, 'invalid_token'])
    const after = await reader.poll({ wait: 0 })
    assert.deepEqual([after.status, after.body.code], [401, 'invalid_token'])
  })

  it('can be renewed: the new one lasts longer and belongs to the same session', async (t) => {
    const { client, bob } = await adaAndBob(await withTwoSeconds())
    const username = newName('ada')
    await client.register(username)
    await bob.send(username, 'hello')
    const login = (await client.login(username)).body
    const older = new Person(client, username, login.token, login.cursor)
    let renewed = login
    await eventually('a second has passed', async () => {
      renewed = (await older.request('POST', '/v1/token')).body
      return renewed.expiresAt > login.expiresAt
    })
    const newer = new Person(client, username, renewed.token, 1)
    const poll = await park(t, newer, 'wait=55')

    await eventually('the older expires', async () => (await older.user(username)).status === 401)
    assert.equal((await newer.user(username)).status, 200)

    assert.equal((await poll.answer()).body.code, 'invalid_token')
    assert.ok(Date.now() >= Date.parse(renewed.expiresAt) - 10, 'the poll had its own time')
  })

  it('is not renewed in the last second of its session, because the new one would expire at once', async () => {
    const nowMs = 1_800_000_000_900
    const jwt = { sign: () => 'signed' } as unknown as JWT
    const lifetimes = { tokenTtlMs: 60_000, sessionMaxMs: 90_000 }
    const tokens = new Tokens(jwt, ['secret'], lifetimes, () => nowMs)
    const database = { extendSession: async () => true } as unknown as Database
    const presence = { isOnline: async () => false, endSession: () => {} }
    const mailboxes = { endSession: () => {} }
    const rules = { sessionPolicy: 'multi' as const }
    const sessions = new Sessions(database, tokens, presence, mailboxes, rules, () => nowMs)
    const renew = (endsAtMs: number) => sessions.renew({ id: 'id', username: 'ada', endsAtMs } as Session)

    await assert.rejects(renew(nowMs + 99), { code: 'invalid_token' })
    assert.equal((await renew(nowMs + 100)).expiresAtMs, nowMs + 100)
  })

  it('stays valid when it is renewed, and ends with its session', async () => {
    const { client, ada } = await adaAndBob(await server())
    const { body: renewed, status } = await ada.request('POST', '/v1/token')
    assert.deepEqual([status, renewed.tokenType], [200, 'Bearer'])
    const newer = new Person(client, ada.username, renewed.token, 0)
    assert.deepEqual([(await ada.user(ada)).status, (await newer.user(ada)).status], [200, 200])

    await newer.logout()

    assertSessionEnded(await ada.user(ada))
    assertSessionEnded(await newer.request('POST', '/v1/token'))
  })

  it('determines the sender: a request cannot name another', async () => {
    const { ada, bob } = await adaAndBob(await server())

    const forged = await bob.request('POST', '/v1/messages', {
      body: { to: ada.username, body: 'hello', from: ada.username },
    })
    await bob.send(ada, 'hello')

    assert.deepEqual([forged.status, forged.body.code], [400, 'invalid_request'])
    const { messages } = (await ada.poll()).body
    assert.deepEqual(
      messages.map(({ seq, from }: Record<string, unknown>) => [seq, from]),
      [[1, bob.username]],
    )
  })
})

// Last, because it stops a shared server.
describe('after a restart', () => {
  let phone: Person
  let laptop: Person
  let database: string
  before(async () => {
    const first = await multi()
    database = first.database
    const { client, ada, bob } = await adaAndBob(first)
    phone = ada
    laptop = await client.enter(ada.username)
    await bob.sendMany(phone, 3)
    await phone.poll({ after: 2, wait: 0 })
    await laptop.poll({ after: 1, wait: 0 })
    await first.stop()
  })

  it('sessions continue, each with its acknowledgements', async (t) => {
    const second = await startServer(t, MULTI, database)
    const read = async (person: Person) => seqsOf((await at(second, person).poll()).body.messages)

    assert.deepEqual([await read(phone), await read(laptop)], [[3], [2, 3]])
  })

  it('sessions end after SESSION_MAX, even if it was longer before, and no token can be renewed beyond it', async (t) => {
    const third = await startServer(t, { ...MULTI, SESSION_MAX: '2s' }, database)
    await eventually('the older session has ended', async () => {
      const { status, body } = await at(third, phone).user(phone)
      return status === 401 && body.code === 'invalid_token'
    })

    const client = new Client(third)
    const username = newName('ada')
    await client.register(username)
    const { createdAtMs, body: login } = await loginOf(client, username)
    assert.ok(Date.parse(login.expiresAt) <= createdAtMs + 2_000, 'the first token lasts longer')
    const ada = new Person(client, username, login.token, login.cursor)
    const renewed = (await ada.request('POST', '/v1/token')).body
    assert.equal(renewed.expiresAt, login.expiresAt)
    const newer = new Person(client, username, renewed.token, login.cursor)
    const poll = await park(t, newer, 'wait=55')

    assert.equal((await poll.answer()).body.code, 'invalid_token')
    assert.ok(Date.now() >= Date.parse(renewed.expiresAt) - 10)
    const after = await newer.request('POST', '/v1/token')
    assert.deepEqual([after.status, after.body.code], [401, 'invalid_token'])
    assert.equal((await client.login(username)).status, 200)
  })
})

/** The answer of a login, and a time after the start of its session. */
async function loginOf(client: Client, username: string) {
  const { body } = await client.login(username)
  return { body, createdAtMs: Date.now() }
}

/** Waits for at least two passes over all accounts: each purges the acknowledged messages of this person. */
async function afterWalk(person: Person) {
  for (const _ of [1, 2]) {
    const { id } = (await person.send(person, 'to be purged')).body
    const { cursor } = (await person.poll({ wait: 0 })).body
    await person.acknowledge(cursor)
    await eventually('a pass comes by', async () => (await person.status(id)).status === 404)
  }
}

function assertSessionEnded({ status, body }: Answer) {
  assert.deepEqual([status, body.code], [401, 'session_ended'])
}

/** The answer of a poll with a long wait. */
async function atOnce(poll: ParkedPoll): Promise<Answer> {
  const startedAtMs = Date.now()
  const answer = await poll.answer()
  assert.ok(Date.now() - startedAtMs < AT_ONCE_MS)
  return answer
}
