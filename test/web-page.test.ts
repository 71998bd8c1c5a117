/** The files of the web page and of the API reference, and the page for unknown addresses. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { describe, it } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { formatStartNotice, startNotice } from '../src/start-notice.ts'
import { rawRequest, sendRaw } from './support/raw-http.ts'
import { shareServer } from './support/servers.ts'

const server = shareServer()
const withoutWeb = shareServer({ WEB: 'off' })

interface WebFile {
  path: string
  type: string
  hashed: boolean
  encodings: string[]
}
const built = (name: string) => readFileSync(new URL(`../dist/web/${name}`, import.meta.url))
const files = JSON.parse(built('files.json').toString()) as WebFile[]
const pathOf = ({ path }: WebFile) => `/${path}`.replace(/(index)?\.html$/, '')

const WEIGHT_MAX = 60_000
const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8'

/** The raw response. */
async function get(url: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>(
    (resolve, reject) => {
      const sent = request(url, { method, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        )
      })
      sent.on('error', reject).end()
    },
  )
}

describe('the page', () => {
  it('and its files are served as built, in the best coding that the client accepts', async () => {
    const { url } = await server()
    for (const file of files) {
      const expected = built(file.path)
      const plain = await get(url + pathOf(file))
      assert.deepEqual([plain.status, plain.body.equals(expected)], [200, true], file.path)
      assert.equal(plain.headers['content-type'], file.type)
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.equal(plain.headers['vary'], file.encodings.length > 0 ? 'Accept-Encoding' : undefined)

      for (const [accepted, coding, decode] of [
        ['gzip, deflate, br', 'br', brotliDecompressSync],
        ['GZIP;q=0.5', 'gzip', gunzipSync],
        ['gzip, br;q=0', 'gzip', gunzipSync],
      ] as const) {
        const { headers, body } = await get(url + pathOf(file), { 'accept-encoding': accepted })
        const isCompressed = file.encodings.includes(coding)
        assert.equal(headers['content-encoding'], isCompressed ? coding : undefined, file.path)
        assert.ok((isCompressed ? decode(body) : body).equals(expected), file.path)
        assert.equal(headers['etag'] === plain.headers['etag'], !isCompressed, 'a coding has its own tag')
      }
    }
  })

  it('is revalidated by caches, and its hashed files never are', async () => {
    const { url } = await server()
    for (const file of files) {
      const first = await get(url + pathOf(file), { 'accept-encoding': 'br' })
      const caching = file.hashed ? 'public, max-age=31536000, immutable' : 'no-cache'
      assert.equal(first.headers['cache-control'], caching, file.path)

      const known = { 'accept-encoding': 'br', 'if-none-match': String(first.headers['etag']) }
      const again = await get(url + pathOf(file), known)
      assert.deepEqual(
        [again.status, again.body.length, again.headers['cache-control'], again.headers['vary']],
        [304, 0, caching, first.headers['vary']],
      )
      const other = await get(url + pathOf(file), { ...known, 'accept-encoding': 'identity' })
      assert.equal(other.status, file.encodings.length > 0 ? 200 : 304)

      const head = await get(url + pathOf(file), { 'accept-encoding': 'br' }, 'HEAD')
      for (const name of ['content-length', 'content-encoding', 'etag', 'content-type'])
        assert.equal(head.headers[name], first.headers[name])
    }
    const hashed = files.filter((file) => file.hashed).map(({ path }) => path.replace(/^.*\./, ''))
    assert.deepEqual(hashed.sort(), ['css', 'js'])
  })

  it('names its files relatively, so that it works below a path prefix', async () => {
    const { url } = await server()
    for (const path of ['/', '/docs', '/docs/', '/manifest.webmanifest']) {
      const text = (await get(url + path)).body.toString()
      const links = [...text.matchAll(/(?:src|href|start_url|scope|id)"?[=:] ?"([^"]*)"/g)].map(
        ([, link = '']) => link,
      )
      assert.ok(links.length >= 3, path)
      for (const link of links) assert.doesNotMatch(link, /^(\/|\w+:)/, `${path} has ${link}`)
    }
  })

  it('may load and request nothing from another origin, and is in no frame', async () => {
    const { url } = await server()
    for (const path of ['/', '/sw.js', '/docs', '/docs/', '/docs/json', '/nothing']) {
      const { headers } = await get(url + path, { accept: HTML })
      const policy = String(headers['content-security-policy'])
      assert.match(policy, /^default-src 'none'; form-action 'none'; frame-ancestors 'none'; /)
      assert.doesNotMatch(policy, /unsafe|https?:|\*/, path)
      assert.equal(/require-trusted-types-for 'script'/.test(policy), !path.startsWith('/docs'), path)
      assert.deepEqual(
        [headers['x-content-type-options'], headers['referrer-policy'], typeof headers['permissions-policy']],
        ['nosniff', 'no-referrer', 'string'],
      )
    }
  })

  it(`has at most ${WEIGHT_MAX / 1_000} kB, including everything that a browser loads first`, async () => {
    const { url } = await server()
    const first = files.filter(({ path }) => !path.startsWith('docs') && !/\d\.png$|robots\.txt$/.test(path))
    const sizes = await Promise.all(
      first.map(async (file) => (await get(url + pathOf(file), { 'accept-encoding': 'br' })).body.length),
    )
    const all = sizes.reduce((sum, size) => sum + size, 0)
    assert.ok(first.length >= 7 && all <= WEIGHT_MAX, `${all} bytes in ${first.length} files`)
  })
})

describe('with WEB=off', () => {
  it('the page, the reference and all their files are 404, and the contract stays', async () => {
    const { url } = await withoutWeb()
    for (const path of [...files.map(pathOf), '/docs/json', '/docs/yaml', '/docs/clients.md']) {
      const { status, headers, body } = await get(url + path, { accept: HTML })
      assert.deepEqual([status, headers['content-type']], [404, 'application/problem+json'], path)
      assert.match(JSON.parse(body.toString()).detail, /openapi\.yaml/)
    }
    assert.equal((await get(`${url}/openapi.yaml`)).status, 200)
  })
})

describe('an unknown address', () => {
  it('gives a browser a page that links to the chat and the reference, at any depth', async () => {
    const { url } = await server()
    for (const path of ['/nothing', '/a/b/c?d=/e/f', '/docs/x/', '/a//b', '/%3Cscript%3E']) {
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, body } = await get(url + path, { accept: HTML }, method)
        assert.deepEqual([status, headers['content-type']], [404, 'text/html; charset=utf-8'], path)
        if (method === 'HEAD') continue
        const links = [...body.toString().matchAll(/<a[^>]* href="([^"]+)"/g)].map(([, link = '']) => link)
        const below = links.map((link) => new URL(link, `https://host/chat${path}`).href)
        assert.deepEqual(below, ['https://host/chat/', 'https://host/chat/', 'https://host/chat/docs/'], path)
      }
    }
  })

  it('gives everything else the problem document, and everybody below /v1', async () => {
    const { url } = await server()
    const cases: [string, string, string | undefined][] = [
      ['GET', '/nothing', undefined],
      ['GET', '/nothing', '*/*'],
      ['GET', '/nothing', 'application/json'],
      ['POST', '/nothing', HTML],
      ['GET', '/v1/nothing', HTML],
      ['GET', '/v1', HTML],
    ]
    for (const [method, path, accept] of cases) {
      const { status, headers } = await get(url + path, accept ? { accept } : {}, method)
      assert.deepEqual(
        [status, headers['content-type']],
        [404, 'application/problem+json'],
        `${method} ${path}`,
      )
    }
    const absolute = await sendRaw(url, rawRequest('GET http://elsewhere.example/a/b', [`Accept: ${HTML}`]))
    assert.match(absolute.body, /href="\.\.\/docs\/"/)
  })

  it('robots are kept out, and the icon exists', async () => {
    const { url } = await server()
    assert.equal((await get(`${url}/robots.txt`)).body.toString(), 'User-agent: *\nDisallow: /\n')
    assert.equal((await get(`${url}/favicon.ico`)).headers['content-type'], 'image/x-icon')
  })
})

describe('what a start prints', () => {
  const interfaces = {
    lo: [{ address: '127.0.0.1', family: 'IPv4' as const, internal: true }],
    eth0: [
      { address: '192.168.1.7', family: 'IPv4' as const, internal: false },
      { address: 'fe80::1', family: 'IPv6' as const, internal: false },
      { address: '2001:db8::7', family: 'IPv6' as const, internal: false },
    ],
  }
  const noticeOf = (host: string, web: 'on' | 'off' = 'on', databaseUrl = 'file:/var/restante.db') =>
    startNotice({ host, web, databaseUrl }, '1.2.3', 3000, interfaces)

  it('are addresses that a browser can open, whatever it listens on', () => {
    assert.deepEqual(noticeOf('127.0.0.1').page, ['http://127.0.0.1:3000/'])
    assert.deepEqual(noticeOf('localhost').page, ['http://localhost:3000/'])
    assert.deepEqual(noticeOf('::1').page, ['http://[::1]:3000/'])
    assert.deepEqual(noticeOf('0.0.0.0').page, ['http://127.0.0.1:3000/', 'http://192.168.1.7:3000/'])
    assert.deepEqual(noticeOf('::').page, [
      ...['http://127.0.0.1:3000/', 'http://192.168.1.7:3000/'],
      'http://[2001:db8::7]:3000/',
    ])
  })

  it('is the database without its password', () => {
    const url = 'postgresql://restante:secret@db.example:5433/chat?password=secret&sslmode=require'
    assert.equal(noticeOf('::1', 'on', url).database, 'postgresql://db.example:5433/chat')
    assert.equal(noticeOf('::1').database, '/var/restante.db')
  })

  it('is readable on a terminal, and names no page if there is none', () => {
    assert.equal(
      formatStartNotice(noticeOf('0.0.0.0')),
      [
        '',
        'Restante 1.2.3',
        '',
        '  Page           http://127.0.0.1:3000/',
        '                 http://192.168.1.7:3000/',
        '  API reference  http://127.0.0.1:3000/docs/',
        '  Database       /var/restante.db',
        '',
        '  Ctrl+C stops it.',
        '\n',
      ].join('\n'),
    )
    const withoutPage = formatStartNotice(noticeOf('127.0.0.1', 'off'))
    assert.doesNotMatch(withoutPage, /Page/)
    assert.match(withoutPage, /API reference {2}http:\/\/127\.0\.0\.1:3000\/openapi\.yaml\n/)
  })
})
