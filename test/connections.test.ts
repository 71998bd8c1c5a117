/** How much one connection and one address can make the server hold. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { ConnectionLimits } from '../src/http/connections.ts'
import { newSource, RequestTurns, type Source } from '../src/http/request-turns.ts'
import { Connections, readConfig } from './support/built.ts'
import { Client, range } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { sendRaw } from './support/raw-http.ts'
import { type ServerProcess, spawnServer, startServer } from './support/servers.ts'

const UNANSWERED_MAX = 16

const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: test\r\n${headers}\r\n`
const post = (path: string, body: string, headers = '') =>
  `POST ${path} HTTP/1.1\r\nHost: test\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
const postChunked = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

describe('a client that does not wait for its answers', () => {
  for (const [kind, request] of Object.entries({
    'requests without a body': (i: number) => get(`/${i}`),
    'bodies of a known length': (i: number) => post(`/${i}`, `${i}\r\n\r\nGET / HTTP/1.1\r\n\r\n`),
    'bodies in chunks': (i: number) => postChunked(`/${i}`, `${i}\r\n\r\n.`),
  })) {
    it(`gets all of them in order, and at most 16 requests are processed at a time: ${kind}`, async (t) => {
      const working = new Set<ServerResponse>()
      let most = 0
      const client = await connectTo(t, {}, (incoming, response) => {
        working.add(response)
        most = Math.max(most, working.size)
        incoming.on('data', () => {})
        incoming.on('end', () =>
          setImmediate(() => {
            working.delete(response)
            response.end(incoming.url)
          }),
        )
      })

      // More than the server reads at once.
      client.socket.write(range(1, 2_000).map(request).join(''))

      const answers = await client.answers(2_000)
      assert.deepEqual(
        answers,
        range(1, 2_000).map((i) => `/${i}`),
      )
      // The length of a chunked body is unknown, so fewer are handled in a turn.
      assert.ok(kind === 'bodies in chunks' ? most <= UNANSWERED_MAX : most === UNANSWERED_MAX, `${most}`)
    })
  }

  for (const [kind, { count, mostPerTurn, request }] of Object.entries({
    '': { count: 2_000, mostPerTurn: UNANSWERED_MAX, request: (i: number) => get(`/${i}`) },
    ', with long bodies': {
      count: 100,
      mostPerTurn: 1,
      request: (i: number) => post(`/${i}`, 'x'.repeat(131_072)),
    },
    ', with long paths': {
      count: 100,
      mostPerTurn: 2,
      request: (i: number) => get(`/${i}?${'x'.repeat(5_000)}`),
    },
  }))
    it(`takes turns with other clients, even if each of its requests is answered at once${kind}`, async (t) => {
      const counted = countPerTurn()
      const client = await connectTo(t, {}, (incoming, response) => {
        counted.one()
        incoming.resume()
        response.end('.')
      })

      client.socket.write(range(1, count).map(request).join(''))

      assert.equal((await client.answers(count)).length, count)
      // The first turn begins when the requests arrive, and those that wait follow in the same one.
      const most = Math.max(...counted.perTurn())
      assert.ok(most <= 2 * mostPerTurn, `${most} in one turn`)
    })

  it('is read no further until an answer is sent, wherever its bytes are split', async (t) => {
    const held: ServerResponse[] = []
    const client = await connectTo(t, {}, (_request, response) => held.push(response))
    // The end of the headers arrives in two pieces.
    const bytes = range(1, 40)
      .map((i) => get(`/${i}`))
      .join('')
    const split = bytes.indexOf('\r\n\r\n', bytes.indexOf('/17 ')) + 3

    client.socket.write(bytes.slice(0, split))
    await eventually('as many as may be are dispatched', () => held.length === UNANSWERED_MAX)
    client.socket.write(bytes.slice(split))
    for (const answered of range(1, 40)) {
      await eventually('the next is dispatched', () => held.length >= Math.min(answered + 15, 40))
      assert.equal(held.length, Math.min(answered + 15, 40))
      held[answered - 1]?.end(String(answered))
      await client.answers(answered)
    }
  })

  it('may send the body of the last request that is taken, and wait for 100 Continue', async (t) => {
    const held: ServerResponse[] = []
    const bodies: string[] = []
    const client = await connectTo(t, { requestMs: 400, headersMs: 400 }, (request, response) => {
      held.push(response)
      request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()))
    })
    client.socket.write(get('/').repeat(15))
    client.socket.write(post('/', 'body', 'Expect: 100-continue\r\n').slice(0, -2))
    await eventually('the beginning of the body arrives', () => bodies.join('') === 'bo')
    // The rest, and the start of another request, whose time limits begin with its turn.
    client.socket.write(`dy${get('/').slice(0, 10)}`)
    await eventually('the rest of the body arrives', () => bodies.join('') === 'body')

    const slow = await sendRaw(client.url, get('/').slice(0, 10))
    assert.equal(slow.status, 408, 'The time limits have passed.')

    client.socket.write(get('/').slice(10))
    for (const response of held) response.end('.')
    await eventually('the next is dispatched', () => held.length === 17)
    held[16]?.end('.')
    await client.answers(17)
    assert.match(client.received(), /HTTP\/1\.1 100 Continue/)
  })

  for (const [kind, upload] of Object.entries({
    'of a known length': post('/', 'x'.repeat(62_000)),
    'in chunks': postChunked('/', 'x'.repeat(20_000)),
  }))
    it(`may send more behind bodies that nobody reads, ${kind}`, async (t) => {
      const client = await connectTo(t, {}, (_request, response) => response.end('.'))

      client.socket.write(upload.repeat(4) + get('/'))

      await client.answers(5)
    })

  it('may ask for another protocol, and continues with HTTP/1.1', async (t) => {
    const client = await connectTo(t, {}, (request, response) =>
      setImmediate(() => response.end(request.url)),
    )

    let sent = 0
    // Also as the last one that may be unanswered.
    for (const before of [19, 15, 31]) {
      const upgrade = get('/', 'Connection: upgrade\r\nUpgrade: h2c\r\n')
      client.socket.write(get('/').repeat(before) + upgrade + get('/'))
      sent += before + 2
      await client.answers(sent)
    }
  })

  it('is not read after a request that closes the connection', async (t) => {
    let requests = 0
    const client = await connectTo(t, {}, (request, response) => {
      requests += 1
      setImmediate(() => response.end(request.url))
    })

    client.socket.write(get('/1').repeat(20) + get('/2', 'Connection: close\r\n') + get('/3').repeat(20))
    await once(client.socket, 'close')

    assert.deepEqual([requests, client.bodies().length, client.bodies().at(-1)], [21, 21, '/2'])
  })

  it('gets the refusal of an unreadable request after the responses still due', async (t) => {
    const held: ServerResponse[] = []
    const client = await connectTo(t, {}, (_request, response) => held.push(response))

    client.socket.write(`${get('/') + get('/')}nonsense\r\n\r\n`)
    await eventually('both are dispatched', () => held.length === 2)
    for (const response of held) response.end('.')
    await once(client.socket, 'close')

    assert.deepEqual(
      [...client.received().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['200', '200', '400'],
    )
  })
})

describe('time limits', () => {
  it('cut off slow headers and slow bodies, with an answer that has the usual headers', async (t) => {
    const { url } = await startServer(t, { CORS_ORIGIN: 'https://chat.example' }, undefined, {
      ...{ headersMs: 300, requestMs: 300, checkEveryMs: 20 },
    })

    for (const half of [
      '',
      get('/healthz').slice(0, -2),
      post('/v1/login', '{ }', 'Content-Type: application/json\r\n').slice(0, -1),
    ]) {
      const { status, headers, body } = await sendRaw(url, half)

      assert.deepEqual([status, body.code], [408, 'invalid_request'], half)
      for (const [name, value] of Object.entries({
        'cache-control': 'no-store',
        connection: 'close',
        'content-type': 'application/problem+json',
        'x-content-type-options': 'nosniff',
        'access-control-allow-origin': 'https://chat.example',
        vary: 'Origin',
      }))
        assert.equal(headers.get(name), value, name)
      assert.ok(headers.get('x-request-id'))
    }
    // This request gets its answer before its body.
    assert.equal((await sendRaw(url, post('/v1/login', '{}').slice(0, -1))).status, 415)
  })

  it('cut off a client that does not receive its answers, and no other', async (t) => {
    const long = Buffer.alloc(32 * 1_024 * 1_024)
    const limits = { takeMs: 200, takeBytesPerSecond: 1e9, checkEveryMs: 20 }
    const client = await connectTo(t, limits, (request, response) => {
      if (request.url === '/long') response.end(long)
      else response.end('.')
    })
    const { port } = new URL(client.url)
    for (const ask of ['write', 'end'] as const) {
      const deaf = connect(Number(port), '127.0.0.1').pause()
      deaf.on('error', () => {})
      t.after(() => deaf.destroy())

      deaf[ask](get('/long'))
      await eventually('it is connected', async () => (await client.openConnections()) === 2)
      await eventually('it is cut off', async () => (await client.openConnections()) === 1)
    }

    client.socket.write(get('/'))
    await client.answers(1)
  })
})

describe('connections that run short', () => {
  const answerAtOnce: RequestListener = (_request, response) => response.end('.')

  it('are shared by address: no address gets the last one, and an idle one makes room', async (t) => {
    const { url } = await serve(t, {}, answerAtOnce, { CONNECTIONS_MAX: '20' })
    const open = async (host: number, count: number) => {
      const opened = []
      for (const _ of range(1, count)) {
        const connection = await connectFrom(t, url, `127.0.0.${host}`)
        assert.ok(await connection.isServed())
        opened.push(connection)
      }
      return opened
    }
    const alive = (connections: { socket: Socket }[]) =>
      connections.filter(({ socket }) => !socket.closed).length

    // Above half of the maximum, an address with its share gets a new connection in place of its longest idle
    // one.
    const greedy = await open(1, 15)
    await eventually('its oldest are closed', () => alive(greedy) === 10)
    assert.deepEqual(
      greedy.map(({ socket }) => socket.closed),
      range(1, 15).map((i) => i <= 5),
    )

    // When all are open, a new connection replaces one of the address that has the most.
    const others = [...(await open(2, 2)), ...(await open(3, 2)), ...(await open(4, 2))]
    others.push(...(await open(5, 2)), ...(await open(6, 2)))
    assert.deepEqual([alive(greedy), alive(others)], [10, 10])
    others.push(...(await open(7, 2)))
    await eventually('two make room', () => alive(greedy) === 8)
    assert.equal(alive(others), 12)
    for (const { isServed } of others) assert.ok(await isServed())
  })

  it('are never closed while a request is unanswered', async (t) => {
    const { url } = await serve(t, {}, (request, response) => request.url === '/' || response.end('.'), {
      CONNECTIONS_MAX: '4',
    })
    const waiting = await Promise.all(range(1, 2).map(() => connectFrom(t, url, '127.0.0.2')))
    for (const { socket } of waiting) socket.write(get('/'))

    const newcomers = [await connectFrom(t, url, '127.0.0.3'), await connectFrom(t, url, '127.0.0.4')]
    for (const { isServed } of newcomers) assert.ok(await isServed())
    for (const host of [2, 3, 5])
      assert.equal(await (await connectFrom(t, url, `127.0.0.${host}`)).isServed(), host === 3)

    assert.deepEqual(
      [...waiting, ...newcomers].map(({ socket }) => socket.closed),
      [false, false, true, false],
    )
  })

  it('are not shared among the clients of a trusted proxy', async (t) => {
    const { url } = await serve(t, {}, answerAtOnce, { CONNECTIONS_MAX: '6', TRUST_PROXY: '127.0.0.2' })

    const proxied = []
    for (const _ of range(1, 6)) proxied.push(await connectFrom(t, url, '127.0.0.2'))
    for (const { isServed } of proxied) assert.ok(await isServed())
    const tooMany = await connectFrom(t, url, '127.0.0.2')
    assert.equal(await tooMany.isServed(), false)
  })
})

describe('sixty clients that pipeline 64 KB and read nothing', () => {
  const MEMORY_MAX = 100 * 1_024 * 1_024
  const SCRIPT = '/docs/static/swagger-ui-bundle.js'

  it('cost little memory, delay no one, and leave no descriptor behind', async (t) => {
    const server = await spawnServer(t)
    const client = new Client(server)
    const ada = await client.join('ada')
    const bob = await client.join('bob')
    assert.equal((await client.get('/healthz')).status, 200)
    const [memory, descriptors] = [residentBytes(server), openDescriptors(server)]

    for (const path of ['/openapi.yaml', SCRIPT]) {
      const attackers = await Promise.all(range(1, 60).map(() => deafClient(t, server.url)))
      const request = get(path)
      for (const attacker of attackers) attacker.write(request.repeat(Math.ceil(65_536 / request.length)))
      for (const i of range(1, 20)) assert.equal((await ada.send('bob', `${path} ${i}`)).status, 201)
      const more = residentBytes(server) - memory
      assert.ok(more < MEMORY_MAX, `${path}: ${Math.round(more / 1_024 / 1_024)} MiB more`)
      for (const attacker of attackers) attacker.destroy()
      await eventually('descriptors are back', () => openDescriptors(server) <= descriptors + 2)
    }

    // Fourteen polls wait on one connection.
    const socket = await deafClient(t, server.url)
    socket.write(get('/v1/inbox?after=40&wait=55', `Authorization: Bearer ${bob.token}\r\n`).repeat(14))
    await eventually('they wait', async () => (await ada.user('bob')).body.online)
    assert.equal((await client.get('/healthz')).status, 200)
    assert.equal(server.errors(), '')
  })
})

describe('an address with many requests', () => {
  it('does not keep a client at another address waiting for all of them', async (t) => {
    const handled: string[] = []
    const { url } = await serve(t, {}, (request, response) => {
      handled.push(request.socket.remoteAddress ?? '')
      response.end('.')
    })
    const many = await Promise.all(range(1, 200).map(() => connectFrom(t, url, '127.0.0.2')))
    const other = await connectFrom(t, url, '127.0.0.3')
    for (const { isServed } of many) assert.ok(await isServed())
    handled.length = 0

    // All have arrived when the server reads the first.
    for (const { socket } of many) socket.write(get('/'))
    assert.ok(await other.isServed())

    assert.ok(handled.indexOf('127.0.0.3') < 50, `It was number ${handled.indexOf('127.0.0.3')}.`)
    await eventually('the others are served, too', () => handled.length === many.length + 1)
  })

  it('has its share of each turn for all its connections, which send ahead', async (t) => {
    const [connections, each] = [40, 20]
    const counted = countPerTurn()
    const { url } = await serve(t, {}, (_request, response) => {
      counted.one()
      response.end('.')
    })
    const many = await Promise.all(range(1, connections).map(() => connectFrom(t, url, '127.0.0.2')))

    for (const { socket } of many) socket.write(get('/').repeat(each))

    await eventually('all are handled', () => counted.total() === connections * each)
    const most = Math.max(...counted.perTurn())
    assert.ok(most <= 2 * UNANSWERED_MAX, `${most} in one turn`)
  })

  it('pays for a long one with the share of its next turns', async () => {
    const turns = new RequestTurns(() => {}, 1_024)
    const source = newSource()
    turns.take(source, requestTo('x'.repeat(20_480)), {} as ServerResponse, true)

    let passed = 0
    for (; !turns.isFree(source); passed += 1) {
      turns.take(newSource(), requestTo('/'), {} as ServerResponse, false)
      await new Promise((resolve) => setImmediate(resolve))
    }

    // It counts as 41 short ones, of which a turn has 16.
    assert.equal(passed, 2)
  })

  it('is served soon after one that announces a body without end', async (t) => {
    let handled = 0
    const { url } = await serve(t, {}, (_request, response) => {
      handled += 1
      response.end('.')
    })
    const endless = await connectFrom(t, url, '127.0.0.2')
    endless.socket.write(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${10 ** 15}\r\n\r\n`)
    await eventually('it is handled', () => handled === 1)
    const other = await connectFrom(t, url, '127.0.0.2')

    assert.ok(await other.isServed())
  })

  it('has a limited number that wait, and none overtakes an earlier one', async () => {
    const handled: number[] = []
    const turns = new RequestTurns(({ url }) => handled.push(Number(url)), 1_024)
    const source = newSource()

    for (const number of range(1, 5_000))
      turns.take(source, requestTo(`${number}`), {} as ServerResponse, false)

    assert.ok(handled.length > 2_500, `Only ${handled.length} were handled at once.`)
    await eventually('the others are handled, too', () => handled.length === 5_000)
    assert.deepEqual(handled, range(1, 5_000))
  })

  it('has a share of the connections that may wait', async () => {
    const turns = new RequestTurns(() => {}, 1_024)
    const [many, few, none] = [newSource(), newSource(), newSource()]
    const lineUp = (source: Source, count: number) => {
      for (const _ of range(1, count)) turns.call(source, () => {})
    }

    lineUp(many, 1_023)
    assert.equal(turns.isFull(many), false)
    lineUp(few, 511)
    assert.deepEqual(
      [many, few, none].map((source) => turns.isFull(source)),
      [true, false, false],
    )
    lineUp(few, 1)
    assert.equal(turns.isFull(few), true)

    await eventually('all are called', () => [many, few].every(({ waiting }) => waiting === undefined))
    assert.equal(turns.isFull(many), false)
  })

  it('loses connections that send ahead when too many wait, and no others', async (t) => {
    const { url } = await serve(t, { waiting: 16 }, (_request, response) => response.end('.'))
    const many = await Promise.all(range(1, 100).map(() => connectFrom(t, url, '127.0.0.2')))
    const neighbour = await connectFrom(t, url, '127.0.0.2')
    const other = await connectFrom(t, url, '127.0.0.3')
    for (const { isServed } of many) assert.ok(await isServed())

    // All have arrived when the server reads the first. One answer is from before.
    for (const { socket } of many) socket.write(get('/').repeat(3))
    other.socket.write(get('/').repeat(30))

    assert.ok(await neighbour.isServed())
    await eventually('the other address has all its answers', () => other.answers() === 30)
    await eventually('each has its answers or is closed', () =>
      many.every(({ socket, answers }) => socket.closed || answers() === 4),
    )
    const closed = many.filter(({ socket }) => socket.closed).length
    assert.ok(closed > 0 && closed <= many.length - 16, `${closed} were closed.`)
  })
})

/** A connection from a loopback address, which can be asked whether it is served. */
const connectFrom = async (t: TestContext, url: string, localAddress: string) => {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  const closed = once(socket, 'close')
  closed.catch(() => {})
  const isServed = async () => {
    received = ''
    socket.write(get('/ready'))
    await Promise.race([
      closed,
      eventually('it is served', () => socket.closed || received.includes('200 OK')),
    ])
    return !socket.closed
  }
  const answers = () => received.split('200 OK').length - 1
  return { socket, isServed, answers }
}

const requestTo = (url: string) =>
  ({ headers: {}, rawHeaders: [], url, socket: {} }) as unknown as IncomingMessage

/** Counts by turns of the event loop. */
function countPerTurn() {
  const perTurn: number[] = []
  let isCounted = false
  return {
    one: () => {
      if (!isCounted) {
        isCounted = true
        perTurn.push(0)
        setImmediate(() => {
          isCounted = false
        })
      }
      perTurn.push((perTurn.pop() ?? 0) + 1)
    },
    perTurn: () => perTurn,
    total: () => perTurn.reduce((sum, count) => sum + count, 0),
  }
}

/** A server with only these limits. */
async function serve(
  t: TestContext,
  limits: Partial<ConnectionLimits>,
  handler: RequestListener,
  env: Record<string, string> = {},
) {
  const connections = new Connections(readConfig(env), { checkEveryMs: 20, ...limits })
  const server = connections.serve(handler)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
    const refusal = `HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    connections.onClientError(error, socket as Socket, () => refusal)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { server, port, url: `http://127.0.0.1:${port}` }
}

/** A connection to such a server. */
async function connectTo(t: TestContext, limits: Partial<ConnectionLimits>, handler: RequestListener) {
  const { server, port, url } = await serve(t, limits, handler)
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const received = () => Buffer.concat(chunks).toString()
  const bodies = () =>
    [...received().matchAll(/HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*\r\n([^\r\n]*?)(?=HTTP\/|$)/g)].map(
      ([, body]) => body,
    )
  return {
    socket,
    url,
    received,
    bodies,
    openConnections: () =>
      new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count))),
    /** Resolves with the bodies of this many answers. */
    answers: async (count: number) => {
      await eventually(`${count} answers`, () => bodies().length >= count)
      return bodies()
    },
  }
}

async function deafClient(t: TestContext, url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

const residentBytes = ({ process }: ServerProcess) => {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1_024
}

const openDescriptors = ({ process }: ServerProcess) => readdirSync(`/proc/${process.pid}/fd`).length

describe('a client that closes its writing side after its request', () => {
  const halfClose = (socket: Socket, request: string) =>
    new Promise<void>((resolve) => socket.end(request, resolve))

  it('gets all outstanding answers, and then the connection closes', async (t) => {
    const held: ServerResponse[] = []
    const client = await connectTo(t, {}, (_request, response) => held.push(response))

    await halfClose(client.socket, get('/').repeat(40))
    for (const answered of range(1, 40)) {
      await eventually('it is dispatched', () => held.length >= answered)
      held[answered - 1]?.end(String(answered))
    }
    await once(client.socket, 'close')

    assert.deepEqual(client.bodies(), range(1, 40).map(String))
  })

  it('gets a slow answer, after interim responses', async (t) => {
    const held: ServerResponse[] = []
    const client = await connectTo(t, {}, (_request, response) => held.push(response))

    await halfClose(client.socket, get('/'))
    await eventually('it is probed', () => client.received().includes('100 Continue\r\n\r\nHTTP/1.1 100'))
    assert.equal(held[0]?.destroyed, false)
    held[0]?.end('late')
    await once(client.socket, 'close')

    assert.match(client.received(), /^(HTTP\/1\.1 100 Continue\r\n\r\n){2,}HTTP\/1\.1 200 OK\r\n/)
    assert.deepEqual(client.bodies(), ['late'])
  })

  for (const [how, leave] of Object.entries({
    'closes the whole connection': (socket: Socket) => socket.destroy(),
    'resets the connection': (socket: Socket) => socket.resetAndDestroy(),
    'speaks HTTP/1.0, which has no interim responses': (socket: Socket) => socket.end(),
  }))
    it(`soon counts as gone when it ${how}`, async (t) => {
      const held: ServerResponse[] = []
      const client = await connectTo(t, {}, (_request, response) => held.push(response))

      client.socket.write(how.includes('1.0') ? 'GET / HTTP/1.0\r\n\r\n' : get('/'))
      await eventually('it is dispatched', () => held.length === 1)
      leave(client.socket)

      await eventually('it is gone', () => held[0]?.destroyed === true, 5_000)
      assert.equal(await client.openConnections(), 0)
    })

  it('gets a refusal if it stops in the middle of a request', async (t) => {
    const client = await connectTo(t, {}, (_request, response) => response.end('.'))

    client.socket.end(get('/') + get('/').slice(0, 10))
    await once(client.socket, 'close')

    assert.match(client.received(), /^HTTP\/1\.1 200 OK[\s\S]*HTTP\/1\.1 400 /)
  })

  it('is closed at once when no answer is outstanding', async (t) => {
    const client = await connectTo(t, {}, (_request, response) => response.end('.'))

    client.socket.end()

    await once(client.socket, 'close')
    assert.equal(client.received(), '')
  })
})

describe('another protocol', () => {
  for (const [kind, upgrade] of Object.entries({
    'without a body': get('/up', 'Connection: upgrade\r\nUpgrade: h2c\r\n'),
    'with a body': post('/up', 'GET /', 'Connection: upgrade\r\nUpgrade: h2c\r\n'),
    'with a body in chunks': postChunked('/up', 'GET /').replace(
      '\r\n',
      '\r\nConnection: upgrade\r\nUpgrade: h2c\r\n',
    ),
  }))
    it(`does not stop later requests from being answered: ${kind}`, async (t) => {
      const client = await connectTo(t, {}, (request, response) => {
        request.resume()
        request.on('end', () => response.end(request.url))
      })

      client.socket.write(get('/1') + upgrade + get('/2') + upgrade + post('/3', 'x') + get('/4'))

      assert.deepEqual(await client.answers(6), ['/1', '/up', '/2', '/up', '/3', '/4'])
    })

  it('through a tunnel is refused, after the outstanding answers', async (t) => {
    const held: ServerResponse[] = []
    const client = await connectTo(t, {}, (_request, response) => held.push(response))

    client.socket.write(`${get('/') + get('/')}CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n`)
    await eventually('both are dispatched', () => held.length === 2)
    for (const response of held) response.end('.')
    await once(client.socket, 'close')

    const statuses = [...client.received().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    assert.deepEqual(statuses, ['200', '200', '400'])
  })
})
