/** deploy/: the proxies in front of one node and of two, and the unit, with the deployed files. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { BlockList } from 'node:net'
import { join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { load } from 'js-yaml'
import { adaAndBob, Client, newName, type Person, range } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { scratchFolder } from '../support/databases.ts'
import { atTheEnd, type Ending, endOfSuite } from '../support/endings.ts'
import { AT_ONCE_MS, eventually } from '../support/eventually.ts'
import { park } from '../support/parked.ts'
import { freePort } from '../support/postgres.ts'
import { missing, PATH, type ProxyKind, proxyKinds } from '../support/proxies.ts'
import { type ServerProcess, spawnServer } from '../support/servers.ts'
import { type SharedCluster, shareCluster } from '../support/shared-cluster.ts'

const NODE_ENV = { TRUST_PROXY: '127.0.0.1', PRESENCE_GRACE: '1s' }

const installed = proxyKinds.filter(({ missing }) => missing === undefined)
const ending = endOfSuite()
let cluster: SharedCluster
const urls = new Map<ProxyKind, string>()
/** One poll per proxy that starts before everything else and waits for the maximum. */
const longest = new Map<ProxyKind, Promise<{ answer: Answer; tookMs: number }>>()

before(async () => {
  if (installed.length === 0) return
  cluster = await shareCluster()
  atTheEnd(ending, () => cluster.stop())
  const database = await cluster.createDatabase()
  const nodes = await startPair(ending, database)
  for (const kind of installed) {
    const url = await kind.start(ending, [nodes[0].url, nodes[1].url])
    urls.set(kind, url)
    const ada = await new Client({ url }).join(newName('patient'))
    const beganMs = performance.now()
    const poll = ada.poll({ wait: 55 })
    longest.set(
      kind,
      poll.then((answer) => ({ answer, tookMs: performance.now() - beganMs })),
    )
  }
})

interface Compose {
  services: Record<string, { networks?: { default: { ipv4_address: string } } }>
  networks: { default: { ipam: { config: [{ subnet: string; ip_range: string }] } } }
}

for (const name of ['compose.yaml', 'two-nodes/compose.yaml'])
  it(`${name} fixes addresses that no other container can get`, () => {
    const compose = load(readFileSync(join('deploy', name), 'utf8')) as Compose
    const [{ subnet, ip_range: others }] = compose.networks.default.ipam.config
    const listOf = (network: string) => {
      const [address = '', bits] = network.split('/')
      const list = new BlockList()
      list.addSubnet(address, Number(bits))
      return list
    }
    const fixed = Object.values(compose.services).flatMap(
      ({ networks }) => networks?.default.ipv4_address ?? [],
    )
    assert.ok(fixed.length > 0)
    for (const address of fixed)
      assert.deepEqual([listOf(subnet).check(address), listOf(others).check(address)], [true, false])
  })

for (const kind of proxyKinds) {
  describe(`${kind.name} before two nodes`, { skip: kind.missing ?? false }, () => {
    const server = () => ({ url: urls.get(kind) as string })

    it('delivers a message from one node to a poll on the other, at once', async (t) => {
      const { ada, bob } = await adaAndBob(server())
      const apart: number[] = []
      for (let cursor = 0; apart.length < 3; cursor += 1) {
        assert.ok(cursor < 40, 'Polls and sends go to different nodes.')
        const poll = await park(t, ada, `after=${cursor}&wait=55`)
        const beganMs = performance.now()
        const sent = await bob.send(ada, `message ${cursor + 1}`)
        const woken = await poll.answer()
        const tookMs = performance.now() - beganMs

        assert.deepEqual([sent.status, woken.status, woken.body.cursor], [201, 200, cursor + 1])
        assert.ok(tookMs < AT_ONCE_MS, `woken after ${tookMs} ms`)
        if (nodeOf(sent) !== nodeOf(woken)) apart.push(tookMs)
      }
      t.diagnostic(`from one node to the other: ${apart.map((ms) => ms.toFixed(0))} ms`)
    })

    it('ends the poll on the node when its client disconnects', async (t) => {
      const { ada, bob } = await adaAndBob(server())
      const poll = await park(t, ada, 'wait=55')

      poll.socket.destroy()

      await eventually('ada is offline', async () => !(await bob.user(ada)).body.online)
    })

    it('accepts the longest message, and no longer one', async () => {
      const { ada, bob } = await adaAndBob(server())
      const escaped = '\\ud83d\\ude00'
      const send = (body: string) =>
        bob.request('POST', '/v1/messages', { body: `{"to":"${ada.username}","body":"${body}"}` })

      assert.equal((await send(escaped.repeat(16_384))).status, 201)
      for (const characters of [17_000, 100_000]) {
        const refused = await send(escaped.repeat(characters))
        assert.deepEqual([refused.status, refused.body.code], [413, 'body_too_large'])
      }
    })

    it('forwards the address of the client to the nodes, whatever the client claims', async (t) => {
      const seen: IncomingMessage['headers'][] = []
      const url = await standIn(t, ({ headers }) => {
        seen.push(headers)
        return 'answer'
      })
      const proxy = await kind.start(t, [url, url])
      for (const forged of ['203.0.113.9', '203.0.113.9, 127.0.0.1', 'unknown'])
        await fetch(`${proxy}/v1/inbox`, { headers: { 'x-forwarded-for': forged } })

      const asked = seen.filter(({ 'user-agent': agent }) => agent === 'node')
      assert.deepEqual(
        asked.map((headers) => headers['x-forwarded-for']),
        ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
      )
    })

    const requests: { what: string; method: string; path: string; key?: string; again: boolean }[] = [
      { what: 'a poll', method: 'GET', path: '/v1/inbox', again: true },
      { what: 'a message without an Idempotency-Key', method: 'POST', path: '/v1/messages', again: false },
      {
        what: 'a message with an Idempotency-Key',
        method: 'POST',
        path: '/v1/messages',
        key: '"k"',
        again: kind.repeatsRefused,
      },
      { what: 'a login', method: 'POST', path: '/v1/login', again: false },
      { what: 'a new password', method: 'PUT', path: '/v1/me/password', again: false },
    ]
    for (const { what, method, path, key, again } of requests) {
      it(`sends ${what} ${again ? 'again' : 'once'} when a node fails after it has read it`, async (t) => {
        const lines: string[] = []
        const url = await standIn(t, ({ method: asked, url: target = '' }) => {
          if (target === '/readyz') return 'answer'
          lines.push(`${asked} ${target}`)
          return 'break'
        })
        const client = new Client({ url: await kind.start(t, [url, url.replace('127.0.0.1', 'localhost')]) })

        const headers = { ...(key && { 'idempotency-key': key }) }
        const answer = await client.request(method, path, { headers, ...(method !== 'GET' && { body: {} }) })

        assert.deepEqual([...new Set(lines)], [`${method} ${path}`])
        assert.equal(lines.length > 1, again, `It was sent ${lines.length} times.`)
        assert.deepEqual([answer.status, answer.body.status, answer.body.code], [502, 502, 'overloaded'])
        assert.ok(Number(answer.headers.get('retry-after')) > 0)
      })
    }

    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      it(`continues when a node ends by ${signal}: nothing is lost or duplicated, and no poll fails`, async (t) => {
        const database = await cluster.createDatabase()
        const nodes = await startPair(t, database)
        const client = new Client({ url: await kind.start(t, [nodes[0].url, nodes[1].url]) })
        const traffic = await Traffic.start(client)
        await traffic.has(100)

        nodes[0].process.kill(signal)
        const code = await nodes[0].exited
        await traffic.has(traffic.accepted.length + 100)
        const env = { ...NODE_ENV, PORT: new URL(nodes[0].url).port }
        const again = await spawnServer(t, env, database)
        await traffic.has(traffic.accepted.length + 100)
        const received = await traffic.end()

        assert.equal(code, signal === 'SIGTERM' ? 0 : 'SIGKILL')
        const excused = kind.repeatsRefused ? [] : traffic.failedPolls.filter((status) => status === 503)
        assert.deepEqual(traffic.failedPolls, excused)
        const times = new Map<string, number>()
        for (const body of received) times.set(body, (times.get(body) ?? 0) + 1)
        for (const body of traffic.accepted) assert.equal(times.get(body), 1, `${body} was accepted`)
        for (const body of traffic.refused) assert.ok((times.get(body) ?? 0) <= 1, `${body} was refused`)
        assert.equal(again.errors(), '')
        t.diagnostic(
          `${traffic.accepted.length} accepted, ${traffic.refused.length} refused, ${traffic.repeats} repeated`,
        )
      })
    }

    it('lets a poll wait for 55 s', async () => {
      const { answer, tookMs } = await (longest.get(kind) as Promise<{ answer: Answer; tookMs: number }>)

      assert.deepEqual([answer.status, answer.body.messages], [200, []])
      assert.ok(tookMs > 54_900, `answered after ${tookMs} ms`)
    })
  })
}

for (const kind of proxyKinds) {
  describe(`${kind.name} before one node`, { skip: kind.missing ?? false }, () => {
    const oneNode = endOfSuite()
    let client: Client
    before(async () => {
      const node = await spawnServer(oneNode, { TRUST_PROXY: 'loopback', RATE_LIMITS: 'on' })
      client = new Client({ url: await kind.startAlone(oneNode, node.url) })
    })

    it('serves the page, and delivers a message to a parked poll', async (t) => {
      const page = await fetch(`${client.url}/`)
      assert.match(await page.text(), /<div id="app">/)

      const { ada, bob } = await adaAndBob(client)
      const poll = await park(t, ada, 'wait=55')
      assert.equal((await bob.send(ada, 'Are you there?')).status, 201)
      assert.equal((await poll.answer()).body.cursor, 1)
    })

    it('accepts the longest message', async () => {
      const { ada, bob } = await adaAndBob(client)
      const body = `{"to":"${ada.username}","body":"${'\\ud83d\\ude00'.repeat(16_384)}"}`
      assert.equal((await bob.request('POST', '/v1/messages', { body })).status, 201)
    })

    it('forwards the address of the client to the node, whatever the client claims', async (t) => {
      const seen: unknown[] = []
      const url = await standIn(t, ({ headers }) => {
        seen.push(headers['x-forwarded-for'])
        return 'answer'
      })
      const proxy = await kind.startAlone(t, url)
      await fetch(`${proxy}/v1/inbox`, { headers: { 'x-forwarded-for': '203.0.113.9' } })

      assert.deepEqual(seen, ['127.0.0.1'])
    })

    it('answers with a problem document while the node is down, and serves when it is back', async (t) => {
      const port = await freePort()
      const url = await kind.startAlone(t, `http://127.0.0.1:${port}`)
      const away = await new Client({ url }).get('/readyz')
      assert.deepEqual([away.status, away.body.code], [502, 'overloaded'])

      const client = new Client({ url })
      // Only a held request is answered by a node that starts after it.
      const early = kind.name === 'Caddy' ? client.get('/readyz') : undefined
      await spawnServer(t, { PORT: `${port}` })
      for (const answer of [await early, await client.get('/readyz')])
        assert.equal(answer?.status ?? 200, 200)
    })
  })
}

const deployed = (file: string) => fileURLToPath(new URL(`../../deploy/${file}`, import.meta.url))

/** Must exit with 0; otherwise the test fails with its output. */
function succeeds(command: string, args: string[], home: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { env: { PATH, HOME: home }, encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  return stdout + stderr
}

describe('the programs accept the files of deploy/', () => {
  const without = { nginx: missing('nginx', '-v'), caddy: missing('caddy', 'version') }

  for (const file of ['Caddyfile', 'two-nodes/Caddyfile'])
    it(`caddy with ${file}`, { skip: without.caddy ?? false }, (t) => {
      const said = succeeds(
        'caddy',
        ['validate', '--adapter', 'caddyfile', '--config', deployed(file)],
        scratchFolder(t),
      )
      assert.match(said, /Valid configuration/)
      assert.doesNotMatch(said, /"level":"warn"|\tWARN\t/i)
    })

  for (const file of ['nginx.conf', 'two-nodes/nginx.conf'])
    it(`nginx with ${file}, with TLS and HTTP/2`, { skip: without.nginx ?? false }, async (t) => {
      const folder = scratchFolder(t)
      const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
      const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '1']
      succeeds('openssl', ['req', '-x509', ...made, '-subj', '/CN=chat.example'], folder)
      const text = readFileSync(deployed(file), 'utf8')
        .replaceAll(/node[12]:3000/g, '127.0.0.1:3000')
        .replace(/(?<=ssl_certificate ).+(?=;)/, certificate)
        .replace(/(?<=ssl_certificate_key ).+(?=;)/, key)
        .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
        .replace('listen 443', `listen 127.0.0.1:${await freePort()}`)
      const draft = join(folder, 'nginx.conf')
      writeFileSync(draft, text)
      const said = succeeds('nginx', ['-t', '-e', 'stderr', '-c', draft, '-g', `pid ${folder}/pid;`], folder)
      assert.doesNotMatch(said, /\[(warn|error|emerg)\]/)
    })

  it('systemd with restante.service, which has only the rights that it needs', {
    skip: missing('systemd-analyze', '--version') ?? false,
  }, (t) => {
    const folder = scratchFolder(t)
    const unit = join(folder, 'restante.service')
    // The program that it starts must exist.
    const text = readFileSync(deployed('restante.service'), 'utf8')
    writeFileSync(unit, text.replace(/(?<=^ExecStart=)\S+/m, process.execPath))
    assert.equal(succeeds('systemd-analyze', ['verify', '--man=no', unit], folder), '')
    succeeds('systemd-analyze', ['security', '--offline=yes', '--threshold=15', unit], folder)
  })
})

const startPair = (t: Ending, database: string): Promise<[ServerProcess, ServerProcess]> =>
  Promise.all([spawnServer(t, NODE_ENV, database), spawnServer(t, NODE_ENV, database)])

/** The node of an answer: each node has its own prefix of request ids. */
const nodeOf = ({ headers }: Answer) => headers.get('x-request-id')?.split('-')[0]

/** A stand-in for a node that answers, or breaks the connection, after it has read a request. */
async function standIn(
  t: TestContext,
  behave: (request: IncomingMessage) => 'answer' | 'break',
): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      if (behave(request) === 'answer') response.end()
      else request.socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTheEnd(t, () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

/**
 * Several senders, half of them with keys that they repeat, and one polling recipient, as in openapi.yaml.
 */
class Traffic {
  readonly accepted: string[] = []
  readonly refused: string[] = []
  readonly failedPolls: number[] = []
  repeats = 0
  readonly #received: string[] = []
  readonly #reader: Person
  readonly #sending: Promise<unknown>
  readonly #reading: Promise<void>
  /** Whether sending has ended, and then whether everything sent is readable. */
  #ending = false
  #sent = false

  private constructor(reader: Person, senders: Person[]) {
    this.#reader = reader
    this.#sending = Promise.all(senders.map((sender, at) => this.#send(sender, at % 2 === 0)))
    this.#reading = this.#read()
  }

  static async start(client: Client): Promise<Traffic> {
    const [reader, ...senders] = await Promise.all(range(0, 6).map((i) => client.join(`person${i}`)))
    return new Traffic(reader as Person, senders)
  }

  async has(count: number): Promise<void> {
    await eventually(`${count} messages are accepted`, () => this.accepted.length >= count, 20_000)
  }

  /** Resolves with all that arrived. */
  async end(): Promise<string[]> {
    this.#ending = true
    await this.#sending
    this.#sent = true
    await this.#reading
    return this.#received
  }

  async #send(sender: Person, keyed: boolean) {
    for (let n = 1; !this.#ending; n += 1) {
      const body = `${sender.username}-${n}`
      let status = await this.#sendOnce(sender, body, keyed)
      while (keyed && status >= 500) {
        this.repeats += 1
        status = await this.#sendOnce(sender, body, keyed)
      }
      assert.ok(status === 201 || status >= 500, `${status}`)
      if (status === 201) this.accepted.push(body)
      else this.refused.push(body)
    }
  }

  async #sendOnce(sender: Person, body: string, keyed: boolean): Promise<number> {
    return (await sender.send(this.#reader, body, keyed ? body : undefined)).status
  }

  async #read() {
    for (let [cursor, empty] = [0, false]; !empty; ) {
      const last = this.#sent
      const { status, body } = await this.#reader.poll({ after: cursor, wait: last ? 0 : 1 })
      if (status !== 200) this.failedPolls.push(status)
      else {
        this.#received.push(...body.messages.map((message: { body: string }) => message.body))
        empty = last && body.messages.length === 0
        cursor = body.cursor
      }
    }
  }
}
