/** client/, the library for apps, with real servers behind proxies that lose answers. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import {
  type Gap,
  type InboxOptions,
  type InboxState,
  type Message,
  Restante,
  type RestanteOptions,
  RestanteProblem,
  type Session,
  type StoredSession,
} from '../client/src/index.ts'
import { Client, newName, passwordOf, range, seqsOf } from './support/client.ts'
import { assertInContract } from './support/contract-check.ts'
import { eventually } from './support/eventually.ts'
import { startLossyProxy } from './support/lossy-proxy.ts'
import { PUSH } from './support/push.ts'
import { shareServer, startServer } from './support/servers.ts'
import { newReceiver } from './support/web-push.ts'

/** Checks every answer against the contract. */
const checkedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  const text = await response.clone().text()
  const json = /json/.test(response.headers.get('content-type') ?? '')
  const { pathname, search } = new URL(String(input))
  const { status, headers } = response
  assertInContract(init?.method ?? 'GET', pathname + search, {
    status,
    headers,
    body: json ? JSON.parse(text) : text,
  })
  return response
}

/** Two people: one with the library, one without it. */
async function people({ url }: { url: string }, options: RestanteOptions = {}) {
  const client = new Client({ url })
  const ada = newName('ada')
  const credentials = { username: ada, password: passwordOf(ada) }
  const restante = new Restante(url, { fetch: checkedFetch, ...options })
  await restante.register(credentials)
  return { restante, credentials, bob: await client.join(newName('bob')), client }
}

/** A loop that records messages until it is stopped. */
function receive(t: TestContext, session: Session, options: InboxOptions = {}) {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const messages: Message[] = []
  const ended = (async () => {
    for await (const message of session.inbox({ signal: stop.signal, ...options })) messages.push(message)
  })()
  ended.catch(() => {})
  const got = (count: number) => eventually(`${count} messages`, () => messages.length >= count)
  const bodies = () => messages.map(({ body }) => body)
  return { messages, bodies, ended, got, stop: () => stop.abort() }
}

function memoryStore() {
  let stored: string | undefined
  return {
    load: () => (stored === undefined ? undefined : (JSON.parse(stored) as StoredSession)),
    save: (session: StoredSession | undefined) => {
      stored = JSON.stringify(session)
    },
  }
}

const isProblem = (code: string) => (error: unknown) => {
  assert.ok(error instanceof RestanteProblem, String(error))
  assert.equal(error.code, code)
  return true
}

const server = shareServer({ SENDER_LIMIT: '10000', PRESENCE_GRACE: '0s' })

describe('restante-client', { concurrency: 4, timeout: 300_000 }, () => {
  const forgetful = shareServer({ RETENTION: '0', ...PUSH })
  const shortTokens = shareServer({ TOKEN_TTL: '8s' })

  it('has less than 8 kB, compressed', async () => {
    const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', write: false } as const
    const { outputFiles } = await build({ entryPoints: ['client/src/index.ts'], ...options })
    const bytes = gzipSync(outputFiles[0]?.contents ?? '').length
    assert.ok(bytes > 1_000 && bytes < 8_000, `${bytes} bytes`)
  })

  it('yields offline messages, then live ones, each acknowledged when the loop asks for the next', async (t) => {
    const { restante, credentials, bob } = await people(await server())
    const { username } = credentials
    const ids = await bob.sendMany(username, 2)
    const stateOf = async (id: string | undefined) => (await bob.status(String(id))).body.state
    const session = await restante.login(credentials)
    const stop = new AbortController()
    t.after(() => stop.abort())
    const inbox = session.inbox({ signal: stop.signal })
    const next = async () => ((await inbox.next()).value as Message).body

    assert.equal(await next(), 'message 1')
    assert.equal(await next(), 'message 2')
    assert.equal(await stateOf(ids[0]), 'stored', 'the page of a login is acknowledged as a whole')
    const third = next()
    await eventually('both are acknowledged', async () => (await stateOf(ids[1])) === 'delivered')
    await eventually('it waits', async () => (await bob.user(username)).body.online)
    const live = await bob.send(username, 'message 3')
    assert.equal(await third, 'message 3')
    assert.equal(await stateOf(live.body.id), 'stored', 'it is in the hands of the loop')

    stop.abort()
    assert.deepEqual(await inbox.next(), { done: true, value: undefined })
    assert.equal(
      await stateOf(live.body.id),
      'delivered',
      'a loop that ends acknowledges what it has finished',
    )
  })

  it('gives a message again to a loop that was left by break, and never skips one', async (t) => {
    const { restante, credentials, bob } = await people(await server())
    const { username } = credentials
    await bob.sendMany(username, 3)
    const session = await restante.login(credentials)
    for await (const { body } of session.inbox()) if (body === 'message 2') break
    assert.equal((await session.getMe()).inbox.unread, 3, 'a login is not acknowledged by half')

    const again = await restante.login(credentials)
    const loop = receive(t, again)
    await loop.got(3)
    await bob.sendMany(username, 2)
    await loop.got(5)
    loop.stop()
    await loop.ended
    assert.deepEqual(seqsOf(loop.messages), range(1, 5))
    assert.equal((await again.getMe()).inbox.unread, 0)

    await bob.sendMany(username, 3)
    const reading = again.inbox()
    await reading.next()
    await reading.next()
    await reading.return()
    assert.equal((await again.getMe()).inbox.unread, 2, 'what was finished is acknowledged')
    const rest = receive(t, again)
    await rest.got(2)
    assert.deepEqual(seqsOf(rest.messages), [7, 8])
    rest.stop()
    await rest.ended
    assert.equal((await again.getMe()).inbox.unread, 0)
  })

  it('gives hundreds of offline messages in order, and allows one loop at a time', async (t) => {
    const { restante, credentials, bob } = await people(await server())
    await Promise.all(range(1, 10).map(() => bob.sendMany(credentials.username, 60)))
    const session = await restante.login(credentials)
    const loop = receive(t, session)
    await assert.rejects(session.inbox().next(), TypeError)
    await loop.got(600)
    assert.deepEqual(seqsOf(loop.messages), range(1, 600))
  })

  it('sends and receives each message once over a network that loses answers and cuts polls', async (t) => {
    const { url } = await server()
    const proxy = await startLossyProxy(t, url)
    const { restante, credentials, bob } = await people({ url: proxy.url }, { fetch })
    const session = await restante.login(credentials)
    const bobs = await new Restante(proxy.url).login({
      username: bob.username,
      password: passwordOf(bob.username),
    })
    for (const loss of ['connection', { status: 503, retryAfterSeconds: 1 }, 'connection'] as const)
      for (const request of [/^GET \/v1\/inbox/, /^POST \/v1\/messages/, /^POST \/v1\/messages/])
        proxy.losses.push({ request, loss })
    proxy.losses.push({ request: /^POST \/v1\/messages/, loss: { status: 502, retryAfterSeconds: 0 } })
    const loop = receive(t, session)
    const sent = await Promise.all(
      range(1, 12).map((i) => bobs.send(credentials.username, `message ${i}`, { receipt: i === 1 })),
    )
    await loop.got(12)
    assert.deepEqual(proxy.losses, [], 'All were met.')
    assert.deepEqual(loop.messages.map(({ id }) => id).sort(), sent.map(({ id }) => id).sort())
    assert.deepEqual(seqsOf(loop.messages), range(1, 12))
    const keys = proxy.requests.flatMap(({ line, key }) => (line === 'POST /v1/messages' ? [key] : []))
    assert.equal(keys.length, 19)
    assert.equal(new Set(keys).size, 12, 'one key per message')

    const receipts = receive(t, bobs)
    await receipts.got(1)
    assert.deepEqual(receipts.messages[0]?.receiptFor, [sent[0]?.id])
  })

  it('continues to receive and send when its poll breaks, and the server is unreachable and restarted', async (t) => {
    const before = await startServer(t)
    const proxy = await startLossyProxy(t, before.url)
    const { restante, credentials, bob } = await people({ url: proxy.url }, { fetch })
    const session = await restante.login(credentials)
    const states: InboxState[] = []
    const loop = receive(t, session, { onState: (state) => states.push(state) })
    await bob.send(credentials.username, 'before')
    await loop.got(1)

    // As if the server had been killed.
    proxy.losses.push({ request: /inbox/, loss: 'connection' })
    await before.stop()
    await eventually('it knows', () => states.at(-1)?.state === 'waiting')
    const sending = session.send(bob.username, 'sent while nobody was there')
    const after = await startServer(t, {}, before.database)
    proxy.to = after.url
    session.wake()
    const { id } = await sending
    const again = await new Client(after).enter(bob.username)
    assert.equal((await again.status(id)).status, 200)
    await again.send(credentials.username, 'after')
    await loop.got(2)
    assert.deepEqual(loop.bodies(), ['before', 'after'])
    const kinds = states.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1])
    assert.deepEqual(kinds, ['connecting', 'live', 'waiting', 'live'])

    await eventually('it waits', async () =>
      /^restante_parked_polls 1$/m.test(await after.operator.metrics.text()),
    )
    assert.match(String(proxy.requests.at(-1)?.line), /after=2&wait=25$/)
    const stopsAtMs = Date.now()
    await after.stop()
    await eventually('it asks again', () => Number(proxy.requests.at(-1)?.atMs) > stopsAtMs)
    const asksAtMs = Number(proxy.requests.find(({ atMs }) => atMs > stopsAtMs)?.atMs)
    assert.ok(asksAtMs - stopsAtMs > 900, 'A server that stops asks for a pause of a second or more.')
  })

  it('renews its token in time, and ends with the reason when it was away for too long', async (t) => {
    const { url } = await shortTokens()
    const store = memoryStore()
    const { restante, credentials, client } = await people({ url }, { store })
    const session = await restante.login(credentials)
    const first = store.load() as StoredSession
    const loop = receive(t, session)
    await eventually('its first token is over', () => Date.now() > Date.parse(first.expiresAt))
    assert.equal((await client.get('/v1/me', { token: first.token })).status, 401)
    await session.send(credentials.username, 'still here')
    await loop.got(1)
    assert.equal((await session.listSessions()).length, 1)
    loop.stop()
    await loop.ended
    const last = store.load() as StoredSession
    assert.equal(last.cursor, 1)
    assert.notEqual(last.token, first.token)

    const late = await new Restante(url, { store: { ...store, load: () => first } }).resume()
    await assert.rejects(receive(t, late as Session).ended, isProblem('invalid_token'))
    assert.equal(late?.ended?.code, 'invalid_token')
    assert.equal(store.load(), undefined, 'The store holds no session that is over.')
  })

  it('ends with the reason when the session is taken over or logged out, and sends no more requests', async (t) => {
    const { url } = await server()
    const proxy = await startLossyProxy(t, url)
    const store = memoryStore()
    const { restante, credentials, bob } = await people({ url: proxy.url }, { store })
    const session = await restante.login(credentials)
    const loop = receive(t, session)
    await eventually('it waits', async () => (await bob.user(credentials.username)).body.online)
    await assert.rejects(restante.login(credentials), isProblem('already_online'))
    await restante.login({ ...credentials, takeover: true, label: 'the other one' })
    await assert.rejects(loop.ended, isProblem('session_ended'))
    const asked = proxy.requests.length
    await assert.rejects(session.send(bob.username, 'too late'), isProblem('session_ended'))
    assert.equal(proxy.requests.length, asked)

    const next = (await restante.login({ ...credentials, takeover: true })) as Session
    const second = receive(t, next)
    await eventually('it waits', async () => (await bob.user(credentials.username)).body.online)
    await next.logout()
    await assert.rejects(second.ended, isProblem('session_ended'))
    assert.equal(await restante.resume(), undefined)
  })

  it('resumes from its store, also within the offline messages of the login', async (t) => {
    const store = memoryStore()
    const { restante, credentials, bob } = await people(await server(), { store })
    await bob.sendMany(credentials.username, 3)
    const session = await restante.login(credentials)
    const inbox = session.inbox()
    await inbox.next()
    await inbox.next()

    // The program crashes here: it has processed 1, and is processing 2.
    const resumed = (await restante.resume()) as Session
    assert.equal(resumed.username, credentials.username)
    const stop = new AbortController()
    t.after(() => stop.abort())
    const again = resumed.inbox({ signal: stop.signal })
    assert.equal(((await again.next()).value as Message).seq, 2)
    const unread = async () => (await resumed.getMe()).inbox.unread
    assert.equal(await unread(), 3, 'the first request to the inbox would acknowledge all of them')
    assert.equal(((await again.next()).value as Message).seq, 3)
    stop.abort()
    assert.equal((await again.next()).done, true)
    assert.equal(await unread(), 0)
    assert.deepEqual([store.load()?.cursor, store.load()?.page], [3, undefined])
  })

  it('reports a gap before the messages that follow it', async (t) => {
    const { url } = await forgetful()
    const store = memoryStore()
    const { restante, credentials, bob } = await people({ url }, { store })
    const { username } = credentials
    const login = await restante.login(credentials)
    const atFirst = store.load() as StoredSession
    await bob.sendMany(username, 3)
    const loop = receive(t, login)
    await loop.got(3)
    loop.stop()
    await loop.ended

    const resumeAt = async (cursor: number) => {
      const { token } = store.load() as StoredSession
      const stored = { ...atFirst, token, cursor }
      const session = await new Restante(url, { store: { load: () => stored, save: () => {} } }).resume()
      const gaps: Gap[] = []
      const order: string[] = []
      const onGap = (gap: Gap) => {
        gaps.push(gap)
        order.push('gap')
      }
      return { session: session as Session, gaps, order, onGap }
    }
    await eventually('they are purged', async () => {
      const { session, gaps, onGap } = await resumeAt(0)
      const reading = receive(t, session, { onGap })
      await bob.send(username, 'one more')
      await reading.got(1)
      reading.stop()
      await reading.ended
      return gaps.length > 0 && gaps[0]?.reason === 'purged' && gaps[0].from === 1
    })
    const { newest } = (await login.getMe()).inbox
    const { session, gaps, onGap } = await resumeAt(newest + 50)
    const ahead = receive(t, session, { onGap })
    await eventually('the gap is reported', () => gaps.length > 0)
    assert.deepEqual(gaps, [{ from: newest + 1, to: newest + 50, reason: 'cursor_ahead' }])
    await bob.send(username, 'behind it')
    await ahead.got(1)
    assert.deepEqual(seqsOf(ahead.messages), [newest + 1])
  })

  it('is away when the app says so, from the next poll on', async (t) => {
    const { restante, credentials, bob } = await people(await server())
    const session = await restante.login(credentials)
    let hidden = true
    const states: InboxState[] = []
    const loop = receive(t, session, { away: () => hidden, onState: (state) => states.push(state) })
    const online = async () => (await bob.user(credentials.username)).body.online
    await eventually('it is connected', () => states.at(-1)?.state === 'live')
    assert.equal((await bob.send(credentials.username, 'to a hidden tab')).body.delivery, 'stored')
    await loop.got(1)
    assert.equal(await online(), false)
    hidden = false
    session.wake()
    await eventually('it is shown', online)
    hidden = true
    session.wake()
    await eventually('it is hidden', async () => !(await online()))
  })

  it('throws problems with code, status, detail, errors and the time to wait', async (t) => {
    const { url } = await server()
    const { restante, credentials } = await people({ url })
    await assert.rejects(restante.register(credentials), isProblem('username_taken'))
    await assert.rejects(
      restante.login({ ...credentials, password: 'not this' }),
      isProblem('invalid_credentials'),
    )
    await assert.rejects(restante.register({ username: 'x', password: 'y' }), (error) => {
      assert.ok(error instanceof RestanteProblem)
      assert.deepEqual([error.name, error.code, error.status], ['RestanteProblem', 'invalid_request', 400])
      assert.deepEqual(
        error.errors.map(({ pointer }) => pointer),
        ['/username', '/password'],
      )
      assert.match(error.message, /^invalid_request: username must be/)
      assert.match(String(error.requestId), /\S/)
      return true
    })

    const proxy = await startLossyProxy(t, url)
    const far = new Restante(`${proxy.url}/`)
    proxy.losses.push({ request: /login/, loss: { status: 503, retryAfterSeconds: 7 } })
    await assert.rejects(far.login(credentials), (error) => {
      assert.ok(isProblem('no_answer')(error))
      const { status, retryAfterMs } = error as RestanteProblem
      return status === 503 && retryAfterMs === 7_000
    })
    proxy.losses.push({ request: /login/, loss: 'connection' })
    await assert.rejects(far.login(credentials), (error) => {
      assert.ok(isProblem('no_answer')(error))
      return (error as RestanteProblem).status === 0 && (error as Error).cause instanceof Error
    })
    const hotel = new Restante(url, { fetch: async () => new Response('<h1>Welcome</h1>') })
    await assert.rejects(hotel.login(credentials), isProblem('no_answer'))
  })

  it('treats the 401 of a proxy as no response, not as the end of the session', async () => {
    const { url } = await server()
    const answers: Response[] = []
    const { restante, credentials, bob } = await people(
      { url },
      { fetch: async (input, init) => answers.shift() ?? fetch(input, init) },
    )
    const session = await restante.login(credentials)
    answers.push(new Response('Log in to this network', { status: 401 }))
    const sent = await session.send(bob.username, 'through a hotel')
    assert.equal((await bob.status(sent.id)).body.state, 'stored')
    const stop = AbortSignal.timeout(50)
    const dead = new Restante(url, { fetch: async () => new Response('', { status: 502 }) })
    await assert.rejects(dead.login(credentials), isProblem('no_answer'))
    answers.push(...range(1, 9).map(() => new Response('', { status: 502 })))
    await assert.rejects(session.send(bob.username, 'given up', { signal: stop }), { name: 'TimeoutError' })
  })

  it('pauses between polls that are answered empty at once, as a cache may do', async (t) => {
    const polledAtMs: number[] = []
    const page = JSON.stringify({ messages: [], cursor: 7, hasMore: false })
    const stored = { username: 'ada', displayName: 'Ada', token: 'token', renewAtMs: Infinity, cursor: 7 }
    const cached = new Restante('https://chat.example', {
      fetch: async () => {
        polledAtMs.push(performance.now())
        return new Response(page)
      },
      store: { load: () => ({ ...stored, expiresAt: '2030-01-01T00:00:00.000Z' }), save: () => {} },
    })
    const loop = receive(t, (await cached.resume()) as Session)
    await eventually('it polls', () => polledAtMs.length === 4)
    loop.stop()
    await loop.ended
    const [, second = 0, third = 0, fourth = 0] = polledAtMs
    assert.ok(third - second > 400 && fourth - third > 400, `${polledAtMs}`)
  })

  it("registers a device for push, from a browser's subscription or an endpoint and keys, until that ends", async () => {
    const { restante, credentials } = await people(await forgetful())
    const session = await restante.login(credentials)
    const { enabled, publicKey } = await session.getPush()
    assert.deepEqual([enabled, Buffer.from(String(publicKey), 'base64url').length], [true, 65])
    const { p256dh, auth } = newReceiver()
    const json = { endpoint: `https://127.0.0.1:8443/${auth}`, keys: { p256dh, auth } }
    const { id } = await session.subscribe({ toJSON: () => ({ ...json, expirationTime: null }) })
    assert.equal((await session.subscribe(json)).id, id, 'it is renewed')
    const list = (await session.listSubscriptions()).map((known) => [known.id, known.endpoint])
    assert.deepEqual(list, [[id, json.endpoint]])
    await session.unsubscribe(id)
    assert.deepEqual(await session.listSubscriptions(), [])

    const { restante: there, credentials: theirs } = await people(await server())
    const without = await there.login(theirs)
    assert.deepEqual(await without.getPush(), { enabled: false })
    await assert.rejects(without.subscribe(json), isProblem('push_disabled'))
  })

  it('has a method for everything that an app needs', async () => {
    const { restante, credentials, bob } = await people(await server())
    const session = await restante.login({ ...credentials, label: 'the phone' })
    const { id } = await session.send(bob.username, 'Hello', { receipt: true, idempotencyKey: 'one-key' })
    assert.equal(
      (await session.send(bob.username, 'Hello', { receipt: true, idempotencyKey: 'one-key' })).id,
      id,
    )
    assert.equal((await session.getMessageStatus(id)).state, 'stored')
    assert.equal((await session.getUser(bob.username)).online, false)
    assert.equal((await session.updateMe({ displayName: 'Ada', presence: 'nobody' })).presence, 'nobody')
    assert.deepEqual([session.displayName, (await session.getMe()).displayName], ['Ada', 'Ada'])
    await session.block(bob.username)
    assert.deepEqual(
      (await session.listBlocks()).map(({ username }) => username),
      [bob.username],
    )
    await session.unblock(bob.username)
    const { token, id: tokenId } = await session.createToken({ name: 'door bell' })
    assert.match(token, /^rst_/)
    assert.deepEqual(
      (await session.listTokens()).map(({ name }) => name),
      ['door bell'],
    )
    await session.revokeToken(tokenId)
    const [own] = await session.listSessions()
    assert.deepEqual([own?.label, own?.current], ['the phone', true])
    await assert.rejects(session.endSession('no-such-session'), isProblem('not_found'))
    await session.changePassword({ current: credentials.password, new: 'another password' })
    await assert.rejects(session.deleteAccount(credentials.password), isProblem('wrong_password'))
    await session.deleteAccount('another password')
    await assert.rejects(session.getMe(), isProblem('session_ended'))
    await assert.rejects(restante.login(credentials), isProblem('invalid_credentials'))
  })
})

describe('restante-client, alone, because clocks and the network are changed', {
  timeout: 60_000,
}, () => {
  it('gives up a dead connection when the app wakes it, the network returns, or after sleep', async (t) => {
    const { url } = await server()
    const proxy = await startLossyProxy(t, url)
    const { restante, credentials, bob } = await people({ url: proxy.url }, { fetch })
    const network = new EventTarget()
    Object.assign(globalThis, {
      addEventListener: network.addEventListener.bind(network),
      removeEventListener: network.removeEventListener.bind(network),
    })
    const session = await restante.login(credentials)
    const loop = receive(t, session)
    const polls = () => proxy.requests.filter(({ line }) => /wait=25$/.test(line)).length
    await eventually('it waits', () => polls() === 1)
    const slept = () => {
      const now = Date.now
      t.mock.method(Date, 'now', () => now() + 60_000)
    }
    const ways = [() => session.wake(), () => network.dispatchEvent(new Event('online')), slept]
    for (const [at, wake] of ways.entries()) {
      proxy.losses.push({ request: /^GET \/v1\/inbox/, loss: 'silence' })
      await bob.send(credentials.username, `message ${at + 1}`)
      await eventually('its answer is lost', () => proxy.losses.length === 0)
      assert.equal(loop.messages.length, at)
      wake()
      await loop.got(at + 1)
      await eventually('it waits', () => polls() === at + 2)
    }
    t.mock.restoreAll()
    loop.stop()
    await loop.ended
    for (const name of ['addEventListener', 'removeEventListener']) Reflect.deleteProperty(globalThis, name)
  })
})
