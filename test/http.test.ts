/**
 * HTTP as common tools use it: empty bodies, HEAD, half-closed connections, codings, and the tools
 * themselves.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { adaAndBob, Client, newName, passwordOf, range } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { parse, rawRequest, sendRaw } from './support/raw-http.ts'
import { shareServer } from './support/servers.ts'

const server = shareServer()

/** A new account with a token. */
async function newcomer() {
  const { url } = await server()
  const person = await new Client({ url }).join(newName('nell'))
  return { url, person, authorization: `Authorization: Bearer ${person.token}` }
}

describe('a body', () => {
  it('that is empty is accepted with any Content-Type', async () => {
    const { url, authorization } = await newcomer()
    const types = [
      'application/x-www-form-urlencoded',
      'text/plain',
      'multipart/form-data',
      'application/json',
    ]

    for (const type of [...types, 'nonsense', ';', '']) {
      const headers = [authorization, `Content-Type: ${type}`]
      for (const length of [[], ['Content-Length: 0'], ['Content-Length: 0', 'Content-Encoding: gzip']]) {
        const { status } = await sendRaw(url, rawRequest('POST /v1/token', [...headers, ...length]))
        assert.equal(status, 200, `${type} ${length}`)
      }
    }
    for (const type of types) {
      const headers = [authorization, `Content-Type: ${type}`, 'Transfer-Encoding: chunked']
      const { status } = await sendRaw(url, `${rawRequest('POST /v1/token', headers)}0\r\n\r\n`)
      assert.equal(status, 200, `${type} in chunks`)
    }
  })

  it('of another type is refused, also in chunks, and before it has arrived', async () => {
    const { url, authorization } = await newcomer()
    const headers = [authorization, 'Content-Type: text/plain']

    for (const bytes of [
      rawRequest('POST /v1/logout', headers, 'x'),
      rawRequest('POST /v1/logout', [...headers, 'Content-Length: 9']),
      `${rawRequest('POST /v1/logout', [...headers, 'Transfer-Encoding: chunked'])}1\r\nx\r\n0\r\n\r\n`,
      `${rawRequest('POST /v1/logout', [authorization, 'Transfer-Encoding: chunked'])}1\r\nx\r\n`,
    ]) {
      const { status, body } = await sendRaw(url, bytes)
      assert.deepEqual([status, body.code], [415, 'unsupported_media_type'], bytes)
    }
  })

  it('with a Content-Encoding is refused with the accepted coding, after the token was checked', async () => {
    const { person } = await newcomer()
    const json = JSON.stringify({ to: person.username, body: 'Hello' })
    const send = (coding: string, body: string | Uint8Array) =>
      person.request('POST', '/v1/messages', { body, headers: { 'content-encoding': coding } })

    for (const coding of ['gzip', 'br', 'identity, gzip', 'x']) {
      const { status, headers, body } = await send(coding, gzipSync(json))
      assert.deepEqual([status, body.code], [415, 'unsupported_media_type'], coding)
      assert.equal(headers.get('accept-encoding'), 'identity')
    }
    const anybody = { body: gzipSync(json), headers: { 'content-encoding': 'gzip' } }
    assert.equal((await person.client.request('POST', '/v1/messages', anybody)).status, 401)
    for (const coding of ['identity', 'Identity', '']) assert.equal((await send(coding, json)).status, 201)
  })

  it('may begin with one byte order mark', async () => {
    const { person } = await newcomer()
    const json = JSON.stringify({ to: person.username, body: '\ufeffHello' })
    const send = (body: string) => person.request('POST', '/v1/messages', { body })

    assert.equal((await send(`\ufeff${json}`)).status, 201)
    assert.equal((await send(`\ufeff\ufeff${json}`)).status, 400)
    assert.equal((await person.poll({ wait: 0 })).body.messages[0].body, '\ufeffHello')
  })
})

describe('a long body', () => {
  it('is refused for far too many values, and not for the length of its text', async () => {
    const { person } = await newcomer()
    const send = (body: string) => person.request('POST', '/v1/messages', { body })
    const members = range(1, 9_000).map((number) => `"member ${number}": 1`)

    for (const json of [
      `{${members}}`,
      `{"to": ${'['.repeat(9_000)}${']'.repeat(9_000)}}`,
      `{"to": [${'{},'.repeat(9_000)}{}]}`,
      `{"to": "\\"", ${members}}`,
    ]) {
      const { status, body } = await send(json)
      assert.equal(status, 400)
      assert.deepEqual(body.errors, [{ pointer: '', detail: 'has far more values than any operation takes' }])
    }
    for (const text of [',[{', '",', '\\,', '\\"[,'].map((part) => part.repeat(4_000)))
      assert.equal((await send(JSON.stringify({ to: person.username, body: text }))).status, 201)
  })
})

describe('an unknown query parameter', () => {
  it('is refused with the similar name that was probably meant', async () => {
    const { person } = await newcomer()

    for (const [query, pointer, detail] of [
      ['waits=1', '/query/waits', 'waits is unknown: did you mean wait?'],
      ['wait=0&Limit=1', '/query/Limit', 'Limit is unknown: did you mean limit?'],
      ['wait=0&afetr=1', '/query/afetr', 'afetr is unknown: did you mean after?'],
      ['wait=0&since=1', '/query/since', 'since is unknown'],
      ['wait=0&__proto__=1', '/query/__proto__', '__proto__ is unknown'],
    ] as const) {
      const { status, body } = await person.request('GET', `/v1/inbox?${query}`)
      assert.deepEqual([status, body.code, body.errors], [400, 'invalid_request', [{ pointer, detail }]])
      assert.equal(body.detail, detail.endsWith('?') ? detail : `${detail}.`)
    }
  })

  it('is accepted if it is the _ that libraries append against caches', async () => {
    const { person } = await newcomer()

    for (const path of ['/healthz', '/readyz', '/v1/inbox?wait=0', `/v1/users/${person.username}`]) {
      const parameter = `${path.includes('?') ? '&' : '?'}_=1795694400000`
      assert.equal((await person.request('GET', path + parameter)).status, 200, path)
    }
  })
})

describe('HEAD', () => {
  it('is answered like GET, without a body', async () => {
    const { url, person, authorization } = await newcomer()
    const { body: sent } = await person.send(person.username, 'Hello')
    const ask = (method: string, path: string, more: string[] = []) =>
      sendRaw(url, rawRequest(`${method} ${path}`, [authorization, ...more]))

    for (const path of [
      ...['/healthz', '/readyz', '/openapi.yaml', '/docs', '/docs/', '/docs/json', '/docs/yaml'],
      '/docs/static/swagger-ui.css',
      ...[`/v1/users/${person.username}`, `/v1/messages/${sent.id}`, '/v1/me/blocks'],
      ...['/v1/users/nobody', '/v1/nothing', '/v1/messages/x'],
    ]) {
      const [get, head] = [await ask('GET', path), await ask('HEAD', path)]
      assert.deepEqual([head.status, head.body], [get.status, ''], path)
      for (const name of ['content-length', 'content-type', 'etag', 'cache-control'])
        assert.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`)
      assert.ok(Number(head.headers.get('content-length')) > 0, path)
    }
    const { headers } = await ask('HEAD', '/docs')
    const known = await ask('HEAD', '/docs', [`If-None-Match: ${headers.get('etag')}`])
    assert.deepEqual([known.status, known.body], [304, ''])
  })

  it('of the inbox is refused, because reading it acknowledges', async () => {
    const { url, person, authorization } = await newcomer()
    const { body: sent } = await person.send(person.username, 'Hello')

    const { status, headers } = await sendRaw(url, rawRequest('HEAD /v1/inbox?after=1', [authorization]))

    assert.deepEqual([status, headers.get('allow')], [405, 'GET'])
    assert.equal((await person.status(sent.id)).body.state, 'stored')
  })
})

describe('a client that closes its writing side after its request', () => {
  it('gets its answers: to a login, to a message, and to a poll that waits', async () => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const json = 'Content-Type: application/json'
    const login = JSON.stringify({ username: bob.username, password: passwordOf(bob.username) })

    const entered = await sendAndEnd(url, rawRequest('POST /v1/login', [json], login))
    assert.equal(entered.status, 200)
    const authorization = `Authorization: Bearer ${entered.body.token}`
    const poll = sendAndEnd(url, rawRequest('GET /v1/inbox?wait=30', [authorization]))
    await eventually('the poll waits', async () => (await ada.user(bob)).body.online)
    const message = JSON.stringify({ to: bob.username, body: 'Hello' })
    const sender = `Authorization: Bearer ${ada.token}`
    const sent = await sendAndEnd(url, rawRequest('POST /v1/messages', [json, sender], message))

    assert.deepEqual([sent.status, sent.body.delivery], [201, 'live'])
    assert.equal((await poll).body.messages[0].body, 'Hello')
  })

  it('gets sixty answers to sixty messages', async () => {
    const { url, person, authorization } = await newcomer()
    const message = JSON.stringify({ to: person.username, body: 'Hello' })
    const request = rawRequest(
      'POST /v1/messages',
      [authorization, 'Content-Type: application/json'],
      message,
    )

    const answers = await Promise.all(range(1, 60).map(() => sendAndEnd(url, request)))

    assert.ok(answers.every(({ status }) => status === 201))
    assert.equal((await person.poll({ wait: 0 })).body.messages.length, 60)
  })
})

/** Sends a request and then closes the writing side. */
async function sendAndEnd(url: string, bytes: string) {
  const { hostname, port } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.end(bytes)
  await once(socket, 'end')
  socket.destroy()
  return parse(
    Buffer.concat(chunks)
      .toString()
      .replace(/^(HTTP\/1\.1 100 Continue\r\n\r\n)+/, ''),
  )
}

describe("people's tools", { concurrency: true }, () => {
  it('curl logs out with an empty body, and checks the server with HEAD', async (t) => {
    if (isMissing(t, 'curl')) return
    const { url, authorization } = await newcomer()
    const curl = (...args: string[]) => run('curl', ['-s', '-w', '%{http_code}', '-m', '20', ...args])

    assert.match(await curl('-I', `${url}/healthz`), /200$/)
    assert.equal(await curl('-d', '', '-H', authorization, `${url}/v1/logout`), '204')
  })

  it('wget checks the server and its documents with --spider, and logs out with --post-data', async (t) => {
    if (isMissing(t, 'wget')) return
    const { url, authorization } = await newcomer()
    const wget = (...args: string[]) => run('wget', ['-q', '-S', '-O', '-', '-T', '20', '-t', '1', ...args])

    for (const path of ['/healthz', '/readyz', '/docs', '/openapi.yaml']) await wget('--spider', url + path)
    await wget('--post-data=', `--header=${authorization}`, `${url}/v1/logout`)
  })

  it("Python's urllib logs out with an empty body", async (t) => {
    if (isMissing(t, 'python3')) return
    const { url, authorization } = await newcomer()
    const program = `
import sys, urllib.request
name, value = sys.argv[2].split(': ')
request = urllib.request.Request(sys.argv[1], data=b'', headers={name: value})
print(urllib.request.urlopen(request, timeout=20).status)`

    assert.equal((await run('python3', ['-c', program, `${url}/v1/logout`, authorization])).trim(), '204')
  })

  for (const [tool, args] of Object.entries({
    nc: (host: string, port: string) => ['-N', host, port],
    socat: (host: string, port: string) => ['-t', '20', '-', `TCP:${host}:${port}`],
  }))
    it(`${tool} closes its writing side, and gets the answer`, async (t) => {
      if (isMissing(t, tool)) return
      const { url, person, authorization } = await newcomer()
      const { hostname, port } = new URL(url)
      const request = `GET /v1/users/${person.username} HTTP/1.1\r\nHost: test\r\n${authorization}\r\n\r\n`

      assert.match(await run(tool, args(hostname, port), request), /200 OK[\s\S]*"online":false/)
    })
})

/** Reports a tool that this machine does not have. */
function isMissing(t: TestContext, tool: string): boolean {
  const missing = spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0
  if (missing) t.diagnostic(`Not tried: this machine has no ${tool}.`)
  return missing
}

/** Resolves with what the command writes to stdout; rejects when it fails. */
async function run(command: string, args: string[], input = ''): Promise<string> {
  const running = promisify(execFile)(command, args, { timeout: 60_000 })
  running.child.stdin?.end(input)
  return (await running).stdout
}
