import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import Fastify from 'fastify'
import { load } from 'js-yaml'
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'
import { bind } from '../src/contract/bind.ts'
import { readContract } from '../src/contract/document.ts'
import type { Handlers } from '../src/contract/handler.ts'
import { statedNames, statement } from '../src/contract/stated-limits.ts'
import { Problem, type ProblemCode, problemCodes } from '../src/problems.ts'
import { Client } from './support/client.ts'
import { spawnServer, startServer } from './support/servers.ts'

interface Document {
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>
  components: {
    headers: Record<string, { schema: object; example: unknown }>
    examples: Record<string, { value: { code: string; status: number; title: string; type: string } }>
    schemas: {
      MessageBody: { maxLength: number }
      Problem: { properties: { code: { 'x-extensible-enum': string[] } } }
    }
  }
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const text = readFileSync(join(ROOT, 'openapi.yaml'), 'utf8')
const manual = readFileSync(join(ROOT, 'docs/clients.md'), 'utf8')
const document = load(text) as Document
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))

test('the contract is bound completely', async (t) => {
  const handlers = Object.fromEntries(
    operations.map(({ operationId }) => [operationId, async () => ({})]),
  ) as unknown as Handlers
  const bindTo = (contract: ReturnType<typeof readContract>, to: Handlers) => () =>
    bind(Fastify({ exposeHeadRoutes: false }), contract, to, () => () => {})

  await t.test('when every operation has a handler and every handler an operation', () => {
    assert.doesNotThrow(bindTo(readContract(), handlers))
  })

  for (const { operationId } of operations) {
    await t.test(`and not without a handler for ${operationId}`, () => {
      const { [operationId as 'login']: _, ...others } = handlers

      assert.throws(bindTo(readContract(), others as Handlers), new RegExp(`${operationId} has no handler`))
    })
  }

  await t.test('and not with a handler that no operation needs', () => {
    const more = { ...handlers, forwardMessage: async () => ({}) }

    assert.throws(bindTo(readContract(), more), /forwardMessage has no operation/)
  })

  await t.test('and on the running server each operation answers for itself', async (t) => {
    const client = new Client(await startServer(t))
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const concrete = path
          .replace('{username}', 'ada')
          .replace('{id}', '01a20779-7500-71c9-b0a4-e83d57f2094b')
        const { status } = await client.request(method.toUpperCase(), concrete)
        assert.ok(![404, 405, 500].includes(status), `${method} ${path} → ${status}`)
      }
    }
  })
})

test('the problems of the contract are those of the server', async (t) => {
  const raised = problemCodes.map((code) => new Problem(code, 'For this test.'))

  await t.test('with their codes', () => {
    assert.deepEqual(document.components.schemas.Problem.properties.code['x-extensible-enum'], problemCodes)
  })

  await t.test('with their statuses, as in the table of the manual', () => {
    const rows = [...manual.matchAll(/^\| `([a-z_]+)` +\| (\d{3}) +\|/gm)]

    assert.deepEqual(
      rows.map(([, code, status]) => [code, Number(status)]),
      raised.map(({ code, status }) => [code, status]),
    )
  })

  await t.test('with the members of the examples', () => {
    const shown = Object.values(document.components.examples).map(({ value }) => value)
    // No operation has this code: it is for methods that a path does not have.
    const codes = problemCodes.filter((code) => code !== 'method_not_allowed')
    assert.deepEqual(new Set(shown.map(({ code }) => code)), new Set<string>(codes))
    for (const { code, status, title, type } of shown) {
      const problem = new Problem(code as ProblemCode, 'For this test.').toJSON()
      assert.deepEqual(
        { code, status, title, type },
        { code, status: problem.status, title: problem.title, type: problem.type },
      )
    }
  })
})

test('the example of each header fits its schema', () => {
  const ajv = new Ajv2020()
  for (const [name, { schema, example }] of Object.entries(document.components.headers))
    assert.ok(ajv.validate(schema, example), `${name}: ${ajv.errorsText()}`)
})

test('the contract is handed out by the server', async (t) => {
  const { url } = await spawnServer(t, { MESSAGE_LENGTH_MAX: '1000', TOKEN_TTL: '36h', RETENTION: 'never' })
  const withItsLimits = (file: string) =>
    file
      .replaceAll('16 384', '1 000')
      .replaceAll('16384', '1000')
      .replaceAll(/7 days(,? \(?`TOKEN_TTL`)/g, '36 hours$1')
      .replaceAll('24 hours, `RETENTION`', 'never, `RETENTION`')

  await t.test(
    'at /openapi.yaml, and the manual at /docs/clients.md, with the limits of the server',
    async () => {
      const contract = await fetch(`${url}/openapi.yaml`)
      const served = await fetch(`${url}/docs/clients.md`)

      assert.deepEqual([contract.status, served.status], [200, 200])
      assert.equal(contract.headers.get('content-type'), 'application/yaml')
      assert.equal(served.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.equal(await contract.text(), withItsLimits(text))
      assert.equal(await served.text(), withItsLimits(manual))
      assert.notEqual(withItsLimits(text), text)
    },
  )

  await t.test('and both name no setting without its value', () => {
    for (const file of [text, manual])
      for (const name of statedNames) {
        const named = file.split(`\`${name}\``).length - 1
        assert.equal([...file.matchAll(statement(name))].length, named, name)
      }
  })

  await t.test('for reading at /docs, on a page that loads nothing from other servers', async () => {
    const response = await fetch(`${url}/docs/`)
    const html = await response.text()
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link)

    assert.equal(response.status, 200)
    assert.match(html, /<title>Restante: API reference<\/title>/)
    assert.ok(links.length >= 3, html)
    assert.doesNotMatch(html, /https?:\/\/|src="\/\/|href="\/\//)
    for (const link of links) {
      const part = await fetch(new URL(link, `${url}/docs/`))
      assert.equal(part.status, 200, link)
      assert.equal(new URL(part.url).origin, url, link)
      await part.arrayBuffer()
    }
    const initializer = await (await fetch(`${url}/docs/reference.js`)).text()
    assert.doesNotMatch(initializer, /["'`](https?:)?\/\/[a-z0-9]/i, 'the page knows another host')
    assert.match(initializer, /validatorUrl: null/)
  })

  await t.test('to the page unchanged, with this server for _Try it out_', async () => {
    const shown = (await (await fetch(`${url}/docs/json`)).json()) as Document & {
      servers: { url: string }[]
    }

    assert.deepEqual(
      Object.values(shown.paths).flatMap((methods) =>
        Object.values(methods).map(({ operationId }) => operationId),
      ),
      operations.map(({ operationId }) => operationId),
    )
    assert.equal(shown.components.schemas.MessageBody.maxLength, 1_000, 'MESSAGE_LENGTH_MAX')
    assert.deepEqual(
      shown.servers.map((server) => server.url),
      ['/'],
    )
  })

  await t.test(
    'with an entity tag, so that caches can revalidate it, and completely for any range',
    async () => {
      for (const [path, caching] of Object.entries({
        '/openapi.yaml': 'no-cache',
        '/docs': 'no-cache',
        '/docs/': 'no-cache',
        '/docs/json': 'no-cache',
        '/docs/yaml': 'no-cache',
        '/docs/reference.js': 'no-cache',
        '/docs/static/swagger-ui-bundle.js': 'no-cache',
      })) {
        const ask = (headers: Record<string, string>) =>
          fetch(url + path, { headers: { ...headers, 'accept-encoding': 'identity' } })
        const first = await ask({ range: 'bytes=9999999-' })
        const bytes = (await first.arrayBuffer()).byteLength
        const etag = first.headers.get('etag') ?? ''

        assert.deepEqual([first.status, first.headers.get('cache-control')], [200, caching], path)
        assert.match(etag, /^"[\w-]{22}"$/)
        assert.equal(first.headers.get('content-length'), String(bytes))
        for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const again = await ask({ 'if-none-match': known })
          assert.deepEqual(
            [again.status, again.headers.get('etag'), again.headers.get('cache-control'), await again.text()],
            [304, etag, caching, ''],
            path,
          )
        }
        const changed = await ask({ 'if-none-match': '"other"' })
        assert.deepEqual([changed.status, (await changed.arrayBuffer()).byteLength], [200, bytes])
      }
    },
  )

  await t.test('under a policy that lets the page load and request nothing else', async () => {
    for (const path of ['/docs', '/docs/reference.js']) {
      const policy = (await fetch(`${url}${path}`)).headers.get('content-security-policy') ?? ''
      assert.match(policy, /default-src 'none'/)
      assert.match(policy, /frame-ancestors 'none'/)
      assert.doesNotMatch(policy, /https?:|\*|unsafe/, path)
    }
  })
})

test('every response has a request id of its own, and no cache may keep one under /v1', async (t) => {
  const { url } = await startServer(t)
  const ids: (string | null)[] = []
  const paths = [
    '/healthz',
    '/readyz',
    '/openapi.yaml',
    '/docs',
    '/docs/static/swagger-ui.css',
    '/docs/json',
    '/',
    '/nothing',
  ]
  const v1 = [
    '/v1/inbox',
    '/v1/users/ada',
    '/v1/users/%zz',
    '/v1/nothing',
    '/v1/login',
    '/%761/inbox',
    '/%76%31/users/ada',
  ]

  for (const path of [...paths, ...v1, ...paths, ...v1]) {
    const response = await fetch(`${url}${path}`)
    await response.arrayBuffer()
    ids.push(response.headers.get('x-request-id'))
    if (v1.includes(path)) assert.equal(response.headers.get('cache-control'), 'no-store', path)
  }

  assert.ok(!ids.includes(null), String(ids))
  assert.equal(new Set(ids).size, ids.length)
})

test('generated files are up to date', async () => {
  const nodes = await openapiTS(new URL('../openapi.yaml', import.meta.url), { silent: true })
  const generated = readFileSync(join(ROOT, 'src/generated/openapi.d.ts'), 'utf8')

  assert.ok(generated === COMMENT_HEADER + astToString(nodes), 'run `npm run generate`')
})
