/** SIGTERM: the server answers parked polls, finishes running requests, refuses new ones, and ends. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Client, Person, range } from './support/client.ts'
import { type Answer, assertInContract } from './support/contract-check.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { headersOf } from './support/http.ts'
import { park } from './support/parked.ts'
import { parse, rawRequest } from './support/raw-http.ts'
import { type ServerProcess, spawnServer, startServer } from './support/servers.ts'
import { stored } from './support/stored.ts'

test('a stop by SIGTERM', async (t) => {
  const server = await spawnServer(t, { PRESENCE_GRACE: '1h' })
  const client = new Client(server)
  const [ada, bob, carol] = await Promise.all([client.join('ada'), client.join('bob'), client.join('carol')])
  await bob.sendMany('bob', 5)
  await bob.poll({ after: 3, limit: 1 })
  const lastSeenAtMs = async (person: Person) =>
    Date.parse((await person.user(person.username)).body.lastSeenAt)
  const bobSeenAtMs = await lastSeenAtMs(bob)
  for (const person of [ada, carol]) await ada.send(person, 'to be at 1')
  const polls = await Promise.all(
    [ada, carol].flatMap((person) => range(1, 8).map(() => park(t, person, 'after=1&wait=55'))),
  )
  await openSilentConnections(t, server)
  const bodies = range(1, 10).map((i) => `begun ${i}`)
  const sends = await Promise.all(bodies.map((body) => beginSend(t, bob, body)))
  const paths = ['GET /readyz', 'GET /v1/inbox', 'GET /v1/users/ada', 'POST /v1/logout']
  const late = await Promise.all(paths.map((line) => beginSendWithAnotherBehind(t, ada, line)))

  const stoppedAtMs = Date.now()
  const ended = stop(server)
  await server.logged('stopping')

  await t.test('answers parked polls at once, empty, each with the time to come back', async () => {
    const answers = await Promise.all(polls.map(({ answer }) => answer()))
    for (const { status, headers, body } of answers) {
      assert.equal(status, 200)
      assert.deepEqual(body, { messages: [], cursor: 1, hasMore: false })
      assert.equal(headers.get('connection'), 'close')
      assert.match(headers.get('retry-after') ?? '', /^[1-5]$/)
    }
    const returns = new Set(answers.map(({ headers }) => headers.get('retry-after')))
    assert.ok(returns.size > 1, 'They do not all come back in the same second.')
  })

  await t.test('refuses requests on open connections, and accepts no new ones', async () => {
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
  })

  await t.test('finishes running sends: they are accepted, and stored', async () => {
    const answers = await Promise.all(sends.map((finish) => finish()))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
    await ended
    const kept = (await stored(server.database))['message']?.map(({ body }) => String(body))
    assert.deepEqual(new Set(kept?.filter((body) => body.startsWith('begun'))), new Set(bodies))
  })

  await t.test('ends with 0, and is not delayed by silent connections', async () => {
    assert.equal(await ended, 0)
    assert.equal(server.errors(), '')
    assert.ok(server.logs.some(({ msg }) => msg === 'stopped'))
  })

  const again = await startServer(t, {}, server.database)
  const [adaAgain, bobAgain] = [ada, bob].map(
    ({ username, token, cursor }) => new Person(new Client(again), username, token, cursor),
  ) as [Person, Person]

  await t.test('is when an account with a parked poll was last seen', async () => {
    const seenMs = await lastSeenAtMs(adaAgain)
    assert.ok(stoppedAtMs <= seenMs && seenMs <= Date.now(), new Date(seenMs).toISOString())
    assert.equal((await adaAgain.user('ada')).body.online, false)
  })

  await t.test('changes nothing for an account that still counted as online', async () => {
    assert.equal(Date.parse((await adaAgain.user('bob')).body.lastSeenAt), bobSeenAtMs)
  })

  await t.test('loses no acknowledgement that a poll brought', async () => {
    assert.equal((await bobAgain.poll({ wait: 0 })).body.messages[0].seq, 4)
    // Directly before a stop, which writes it: it would be written half a second later.
    await bobAgain.poll({ after: 4, limit: 1 })
    await again.stop()
    const account = (await stored(server.database))['account']?.find(({ username }) => username === 'bob')
    assert.equal(account?.['acknowledged_seq'], 4)
  })
})

describe('a signal', () => {
  it('reaches the server through `npm start`, and a second one within a second is the same stop', async (t) => {
    // Without the script before it, which might rebuild the server that other tests run.
    const server = await spawnServer(t, {}, undefined, ['npm', '--silent', '--ignore-scripts', 'start'])
    const pid = Number((await server.logged('ready'))['pid'])
    const isAlive = () => spawnSync('kill', ['-0', String(pid)]).status === 0
    atTheEnd(t, () => spawnSync('kill', ['-9', String(pid)]))
    const ada = await new Client(server).join('ada')
    const poll = await park(t, ada, 'wait=55')
    const finish = await beginSend(t, ada, 'holds the end up')

    server.process.kill('SIGTERM')
    await server.logged('stopping')
    // Ctrl+C in a terminal reaches both.
    process.kill(pid, 'SIGINT')

    assert.equal((await finish()).status, 201)
    await server.logged('stopped')
    assert.equal(await server.exited, 0)
    assert.equal((await poll.answer()).status, 200)
    assert.equal(server.logs.filter(({ msg }) => msg === 'stopping').length, 1)
    // Before the 10 s after which a stop is forced.
    await eventually('the server is gone, too', () => !isAlive(), 9_000)
  })

  it('ends a stop at once when it comes a second later, and accepted messages stay', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')
    await beginSend(t, ada, 'never finished')
    assert.equal((await ada.send('ada', 'accepted')).status, 201)

    server.process.kill('SIGINT')
    await server.logged('stopping')
    // The send delays this stop for two seconds. Halted, the server cannot end before the second signal.
    server.process.kill('SIGSTOP')
    // A signal within a second is the same stop.
    await setTimeout(1_100)
    const ended = stop(server)
    server.process.kill('SIGCONT')

    assert.equal(await ended, 1)
    assert.ok(server.logs.some(({ msg }) => msg === 'second SIGTERM, exiting'))
    assert.deepEqual(
      (await stored(server.database))['message']?.map(({ body }) => body),
      ['accepted'],
    )
  })
})

/** Stops it by SIGTERM, and resolves with its exit code: 1 when the stop took too long and was forced. */
function stop(server: ServerProcess): Promise<number | string> {
  server.process.kill('SIGTERM')
  return server.exited
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

/** Several that are silent between two requests, before the first, within headers, and within a body. */
async function openSilentConnections(t: TestContext, server: ServerProcess) {
  const head = 'Host: test\r\nContent-Type: application/json\r\nContent-Length: 60\r\nExpect: 100-continue'
  for (let i = 0; i < 5; i++) {
    await silentConnection(t, server, 'GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n', 'HTTP/1.1 200')
    await silentConnection(t, server, '', '')
    await silentConnection(t, server, 'GET /healthz HTTP/1.1\r\nHost:', '')
    await silentConnection(t, server, `POST /v1/login HTTP/1.1\r\n${head}\r\n\r\n{"user`, 'HTTP/1.1 100')
  }
  // Connections are accepted in order: when this one is answered, the silent ones are accepted.
  await new Client(server).get('/healthz')
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
