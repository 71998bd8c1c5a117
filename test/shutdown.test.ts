/** SIGTERM: the server answers parked polls, finishes running requests, refuses new ones, and ends. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Client, Person, range } from './support/client.ts'
import { type Answer, assertInContract } from './support/contract-check.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { headersOf } from './support/http.ts'
import { park } from './support/parked.ts'
import { parse, rawRequest } from './support/raw-http.ts'
import { type RunningServer, type ServerProcess, spawnServer, startServer } from './support/servers.ts'
import { stored } from './support/stored.ts'

/**
 * It takes well under a second. A busy machine gets more, but less than the 10 s after which a stop is
 * forced.
 */
const STOP_MS_MAX = 9_000

describe('a stop', () => {
  for (const [signal, readers] of [
    ['SIGTERM', 8],
    ['SIGINT', 2],
  ] as const) {
    it(`by ${signal} answers ${readers * 8} parked polls at once, empty, each with the time to come back`, async (t) => {
      const server = await spawnServer(t)
      const client = new Client(server)
      const people = await Promise.all(range(1, readers).map((i) => client.join(`reader${i}`)))
      await Promise.all(people.map((person) => person.send(person.username, 'to be at 1')))
      const polls = await Promise.all(
        people.flatMap((person) => range(1, 8).map(() => park(t, person, 'after=1&wait=55'))),
      )

      assert.equal(await stop(server, signal), 0)

      const answers = await Promise.all(polls.map(({ answer }) => answer()))
      for (const { status, headers, body } of answers) {
        assert.equal(status, 200)
        assert.deepEqual(body, { messages: [], cursor: 1, hasMore: false })
        assert.equal(headers.get('connection'), 'close')
        assert.match(headers.get('retry-after') ?? '', /^[1-5]$/)
      }
      const returns = new Set(answers.map(({ headers }) => headers.get('retry-after')))
      assert.ok(returns.size > 1, 'They do not all come back in the same second.')
      assert.equal(server.errors(), '')
    })
  }

  it('finishes running sends: they are accepted, and stored', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    const sends = await Promise.all(range(1, 20).map((i) => beginSend(t, ada, `begun ${i}`)))

    server.process.kill('SIGTERM')
    await server.logged('stopping')
    const answers = await Promise.all(sends.map((finish) => finish()))

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
    assert.equal(await server.exited, 0)
    const bodies = (await stored(server.database))['message']?.map(({ body }) => body)
    assert.deepEqual(new Set(bodies), new Set(range(1, 20).map((i) => `begun ${i}`)))
  })

  it('refuses requests on open connections, and accepts no new ones', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    const finish = await beginSend(t, ada, 'holds the end up')
    const paths = ['GET /readyz', 'GET /v1/inbox', 'GET /v1/users/ada', 'POST /v1/logout']
    const late = await Promise.all(paths.map((line) => beginSendWithAnotherBehind(t, ada, line)))

    server.process.kill('SIGTERM')
    await server.logged('stopping')

    for (const [i, sendRest] of late.entries()) {
      const { status, headers, body } = await sendRest()
      assert.deepEqual([status, body.code], [503, 'overloaded'], paths[i])
      assert.match(headers.get('retry-after') ?? '', /^[1-9]$/)
      assert.equal(headers.get('connection'), 'close')
    }
    const { hostname, port } = new URL(server.url)
    await eventually('new connections are refused', async () => {
      const socket = connect(Number(port), hostname)
      const refused = await once(socket, 'connect').then(
        () => false,
        () => true,
      )
      socket.destroy()
      return refused
    })
    assert.equal((await finish()).status, 201)
    assert.equal(await server.exited, 0)
  })

  it('is not delayed by connections that are silent, at any point of a request', async (t) => {
    const server = await spawnServer(t)
    for (let i = 0; i < 20; i++) {
      // Between two requests, before the first, within headers, and within a body.
      await silentConnection(t, server, 'GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n', 'HTTP/1.1 200')
      await silentConnection(t, server, '', '')
      await silentConnection(t, server, 'GET /healthz HTTP/1.1\r\nHost:', '')
      const head =
        'Host: test\r\nContent-Type: application/json\r\nContent-Length: 60\r\nExpect: 100-continue'
      const half = `POST /v1/login HTTP/1.1\r\n${head}\r\n\r\n{"user`
      await silentConnection(t, server, half, 'HTTP/1.1 100')
    }
    // Connections are accepted in order: when this one is answered, the silent ones are accepted.
    await new Client(server).get('/healthz')

    assert.equal(await stop(server), 0)
    assert.ok(server.logs.some(({ msg }) => msg === 'stopped'))
  })

  it('reaches the server through `npm start`', async (t) => {
    // Without the script before it, which might rebuild the server that other tests run.
    const server = await spawnServer(t, {}, undefined, ['npm', '--silent', '--ignore-scripts', 'start'])
    const pid = Number((await server.logged('ready'))['pid'])
    const isAlive = () => spawnSync('kill', ['-0', String(pid)]).status === 0
    atTheEnd(t, () => spawnSync('kill', ['-9', String(pid)]))

    server.process.kill('SIGTERM')
    await server.logged('stopped')
    assert.equal(await server.exited, 0)
    await eventually('the server is gone, too', () => !isAlive(), STOP_MS_MAX)
  })

  it('is one stop when a signal comes twice at once, like Ctrl+C through npm', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    const poll = await park(t, ada, 'wait=55')

    server.process.kill('SIGINT')
    await server.logged('stopping')

    assert.equal(await stop(server, 'SIGINT'), 0)
    assert.equal((await poll.answer()).status, 200)
    assert.equal(server.logs.filter(({ msg }) => msg === 'stopping').length, 1)
    assert.ok(server.logs.some(({ msg }) => msg === 'stopped'))
  })

  it('ends at once on a second signal, and keeps accepted messages', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    await beginSend(t, ada, 'never finished')
    assert.equal((await ada.send('ada', 'accepted')).status, 201)

    server.process.kill('SIGTERM')
    await server.logged('stopping')
    // A signal within a second is the same stop. The send delays this stop for two.
    await setTimeout(1_100)

    assert.equal(await stop(server), 1)
    assert.deepEqual(
      (await stored(server.database))['message']?.map(({ body }) => body),
      ['accepted'],
    )
  })

  it('loses no acknowledgement that a poll brought', async (t) => {
    const server = await startServer(t)
    const ada = await new Client(server).join('ada')
    await ada.sendMany('ada', 5)
    await ada.poll({ after: 3, limit: 1 })
    await server.stop()

    const [account] = (await stored(server.database))['account'] ?? []
    assert.equal(account?.['acknowledged_seq'], 3)
    const again = await startServer(t, {}, server.database)
    const { body } = await new Client(again).login('ada')
    assert.equal(body.offlineMessages[0].seq, 4)
  })
})

describe('when an account was last seen', () => {
  const lastSeenAtMs = async (person: Person) =>
    Date.parse((await person.user(person.username)).body.lastSeenAt)

  const afterRestart = async (t: TestContext, server: RunningServer, { username, token, cursor }: Person) => {
    await server.stop()
    const again = await startServer(t, {}, server.database)
    return new Person(new Client(again), username, token, cursor)
  }

  for (const [when, env] of [
    ['still counts as online', { PRESENCE_GRACE: '1h' }],
    ['has just gone offline', { PRESENCE_GRACE: '0' }],
  ] as const) {
    it(`is the same after a stop, for an account that ${when}`, async (t) => {
      const server = await startServer(t, env)
      const ada = await new Client(server).join('ada')
      await ada.poll({ wait: 0 })
      const seenAtMs = await lastSeenAtMs(ada)

      assert.equal(await lastSeenAtMs(await afterRestart(t, server, ada)), seenAtMs)
    })
  }

  it('is the time of the stop for an account with a parked poll', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    await park(t, ada, 'wait=55')
    const beforeMs = Date.now()
    const again = await afterRestart(t, server, ada)

    const seenMs = await lastSeenAtMs(again)
    assert.ok(beforeMs <= seenMs && seenMs <= Date.now(), new Date(seenMs).toISOString())
    assert.equal((await again.user('ada')).body.online, false)
  })
})

/** Ends the process by a signal, and resolves with its exit code. */
async function stop(server: ServerProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
  const begun = performance.now()
  server.process.kill(signal)
  const code = await server.exited
  const took = Math.round(performance.now() - begun)
  assert.ok(took < STOP_MS_MAX, `It ended after ${took} ms.`)
  return code
}

const sendHead = ({ client, token }: Person, message: string) => ({
  url: `${client.url}/v1/messages`,
  headers: {
    Authorization: `Bearer ${token}`,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(message),
    // The server reports when it has read the headers.
    Expect: '100-continue',
  },
})

/** Begins a send, and resolves when the server has the headers, with a function that sends the body. */
async function beginSend(t: TestContext, person: Person, body: string): Promise<() => Promise<Answer>> {
  const message = JSON.stringify({ to: person.username, body })
  const { url, headers } = sendHead(person, message)
  const request = httpRequest(url, { method: 'POST', agent: false, headers })
  t.after(() => request.destroy())
  // An unfinished request is cut off.
  request.on('error', () => {})
  request.flushHeaders()
  await once(request, 'continue')

  return async () => {
    request.end(message)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const answer = {
      status: response.statusCode ?? 0,
      headers: headersOf(response.headers),
      body: JSON.parse(await text(response)),
    }
    assertInContract('POST', '/v1/messages', answer)
    return answer
  }
}

/**
 * The same on a connection with another request right after it, which arrives while the server stops, on a
 * connection that is not idle. The returned function sends both, and resolves with the answer to the second.
 */
async function beginSendWithAnotherBehind(t: TestContext, person: Person, line: string) {
  const message = JSON.stringify({ to: person.username, body: 'another comes behind' })
  const { url, headers } = sendHead(person, message)
  const { hostname, port, pathname } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.after(() => socket.destroy())
  socket.setEncoding('utf8')
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST ${pathname} HTTP/1.1\r\nHost: test\r\n${fields.join('')}\r\n`)
  await once(socket, 'data')

  return async () => {
    socket.write(message + rawRequest(line, [`Authorization: Bearer ${person.token}`]))
    const [first, second] = (await text(socket)).split(/(?=HTTP\/1\.1 \d{3} )/).map(parse)
    assert.equal(first?.status, 201)
    assert.ok(second, 'The second request is answered.')
    const [method = '', path = ''] = line.split(' ')
    assertInContract(method, path, second)
    return second
  }
}

/** Opens a connection, sends some bytes, and then nothing more. */
async function silentConnection(t: TestContext, server: ServerProcess, bytes: string, answer: string) {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (bytes !== '') socket.write(bytes)
  if (answer === '') return
  const [data] = (await once(socket, 'data')) as [Buffer]
  assert.ok(data.toString().startsWith(answer), data.toString())
}
