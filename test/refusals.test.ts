import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, newName, type Person, passwordOf } from './support/client.ts'
import { type Answer, assertInContract } from './support/contract-check.ts'
import { rawRequest, sendRaw } from './support/raw-http.ts'
import { shareServer } from './support/servers.ts'
import { stored } from './support/stored.ts'
import { claimsOf, forge } from './support/tokens.ts'

/** A request that must be refused. */
interface Refusal {
  title: string
  method: string
  path: string
  body?: unknown
  headers?: Record<string, string>
  /** Instead of Ada's. */
  token?: string | undefined
  status: number
  code: string
  /** The expected pointer in `errors`. */
  pointer?: string | undefined
}

/** An operation with a valid body, and the lengths of its properties. */
interface BodyOperation {
  operationId: string
  method: string
  path: string
  authenticated: boolean
  valid: Record<string, unknown>
  required: string[]
  /** By property, the shortest and the longest length. */
  texts: Record<string, [min: number, max: number]>
}

const SECRET = 'a secret that is long enough to be one'
const MESSAGE_LENGTH_MAX = 16_384

// The refused accounts stay online, so that the end of their presence writes nothing.
const shared = shareServer({ JWT_SECRET: SECRET, PRESENCE_GRACE: '1h' })

const OPERATIONS: BodyOperation[] = [
  {
    operationId: 'register',
    method: 'POST',
    path: '/v1/register',
    authenticated: false,
    valid: { username: 'newcomer', password: 'long enough', displayName: 'New' },
    required: ['username', 'password'],
    texts: { username: [3, 32], password: [8, 256], displayName: [1, 64] },
  },
  {
    operationId: 'login',
    method: 'POST',
    path: '/v1/login',
    authenticated: false,
    valid: { username: 'ada', password: passwordOf('ada'), takeover: true },
    required: ['username', 'password'],
    texts: { username: [1, 64], password: [1, 256] },
  },
  {
    operationId: 'sendMessage',
    method: 'POST',
    path: '/v1/messages',
    authenticated: true,
    valid: { to: 'grace', body: 'Hello' },
    required: ['to', 'body'],
    texts: { to: [3, 32], body: [1, MESSAGE_LENGTH_MAX] },
  },
  {
    operationId: 'acknowledge',
    method: 'POST',
    path: '/v1/inbox/ack',
    authenticated: true,
    valid: { cursor: 1 },
    required: ['cursor'],
    texts: {},
  },
  {
    operationId: 'changePassword',
    method: 'PUT',
    path: '/v1/me/password',
    authenticated: true,
    valid: { current: passwordOf('ada'), new: passwordOf('ada') },
    required: ['current', 'new'],
    texts: { current: [1, 256], new: [8, 256] },
  },
  {
    operationId: 'deleteAccount',
    method: 'POST',
    path: '/v1/me/delete',
    authenticated: true,
    valid: { password: passwordOf('ada') },
    required: ['password'],
    texts: { password: [1, 256] },
  },
]

/** Every authenticated operation, with valid input. */
const AUTHENTICATED: { method: string; path: string; body?: unknown }[] = [
  ...OPERATIONS.filter(({ authenticated }) => authenticated).map(({ method, path, valid }) => ({
    method,
    path,
    body: valid,
  })),
  { method: 'POST', path: '/v1/token' },
  { method: 'POST', path: '/v1/logout' },
  { method: 'GET', path: '/v1/inbox?wait=0' },
  { method: 'GET', path: '/v1/users/grace' },
  { method: 'GET', path: '/v1/messages/01a20779-7500-71c9-b0a4-e83d57f2094b' },
]

/** Half of a pair, which is no character. */
const LONE_SURROGATES = ['\ud83d', '\udd70', 'a\udd70\ud83db']

test('bad input is refused with a problem document that says what is wrong, and changes nothing', async (t) => {
  const server = await shared()
  const client = new Client(server)
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]
  await grace.sendMany('ada', 3)
  await ada.acknowledge(1)
  const before = await stored(server.database)

  const refused = (refusal: Refusal) =>
    t.test(refusal.title, async () => {
      const { method, path, body, headers = {} } = refusal
      const token = 'token' in refusal ? refusal.token : ada.token
      const answer = await client.request(method, path, { ...(token && { token }), body, headers })
      assertRefused(answer, refusal)
    })

  // A look into the store takes longer than a request, so it comes after many.
  const groups = [...OPERATIONS.map(badBodies), badQueries(), badPaths(), badHeaders(), badTokens(ada)]
  for (const group of groups) {
    for (const refusal of group) await refused(refusal)
    await t.test(`nothing has changed after ${group.at(-1)?.title}`, async () =>
      assert.deepEqual(await stored(server.database), before),
    )
  }

  await t.test('and the same requests without a fault are accepted', async () => {
    for (const { operationId, method, path, valid } of OPERATIONS) {
      const { status } = await ada.request(method, path, { body: valid })
      // Ada's own session ends with the login.
      if (operationId === 'login') Object.assign(ada, await client.enter('ada', { takeover: true }))
      assert.ok(status < 300, operationId)
    }
  })
})

function assertRefused(
  answer: Answer,
  { status, code, pointer }: Pick<Refusal, 'status' | 'code' | 'pointer'>,
) {
  const { body, headers } = answer
  assert.deepEqual([answer.status, body.code], [status, code], JSON.stringify(body))
  assert.deepEqual([body.status, body.type], [status, `urn:restante:problem:${code}`])
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json(;|$)/)
  if (status === 401) assert.match(headers.get('www-authenticate') ?? '', /^Bearer/)
  if (pointer === undefined) return
  assert.equal(body.errors?.[0]?.pointer, pointer, JSON.stringify(body))
  const [, parameter] = /^\/(?:query|path|headers)\/(.+)/.exec(pointer) ?? []
  if (parameter) assert.ok(body.errors[0].detail.includes(parameter), `the detail does not name ${parameter}`)
}

/** Invalid bodies of one operation. */
function badBodies({ operationId, method, path, authenticated, valid, required, texts }: BodyOperation) {
  const refusals: Refusal[] = []
  const json = JSON.stringify(valid)
  const add = (what: string, body: unknown, pointer: string, more: Partial<Refusal> = {}) => {
    const title = `${operationId}: ${what}`
    const expected = { status: 400, code: 'invalid_request', pointer }
    refusals.push({
      title,
      method,
      path,
      body,
      ...expected,
      ...(!authenticated && { token: undefined }),
      ...more,
    })
  }
  const addValue = (name: string, what: string, value: unknown) =>
    add(`${name} ${what}`, { ...valid, [name]: value }, `/${name}`)

  // Not JSON
  add('a body that breaks off', json.slice(0, -1), '')
  add('a body with a comma too many', json.replace('}', ',}'), '')
  add('a body with something behind it', `${json}{}`, '')
  add('a body in another notation', 'username=ada', '')
  add('an empty body', '', '')
  add('no body', undefined, '')
  add('bytes that are not UTF-8', Buffer.from(json.replace('}', ',"x":"\xff"}'), 'latin1'), '')
  const surrogate = Buffer.from([...Buffer.from(`{"x":"`), 0xed, 0xa0, 0xbd, ...Buffer.from('"}')])
  add('a surrogate encoded as UTF-8', surrogate, '')
  add('UTF-16', Buffer.from(json, 'utf16le'), '')

  // JSON, but not an object
  for (const other of ['null', '5', 'true', '"text"', '[]', `[${json}]`])
    add(`${other} for a body`, other, '')

  // Properties
  for (const name of required) {
    const { [name]: _, ...rest } = valid
    add(`no ${name}`, rest, `/${name}`)
  }
  add('a property that is not known', { ...valid, nickname: 'x' }, '/nickname')
  add(
    'a property with a wrong case',
    { ...valid, [`${required[0]?.toUpperCase()}`]: 'x' },
    `/${required[0]?.toUpperCase()}`,
  )
  add('a property with a strange name', { ...valid, 'a/b~c': 'x' }, '/a~1b~0c')
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString'])
    add(`a property named ${name}`, json.replace('}', `,"${name}":{"admin":true}}`), `/${name}`)
  add('nothing but a prototype', `{"__proto__":${json}}`, '/__proto__', { pointer: undefined })

  // Types
  for (const [name, value] of Object.entries(valid)) {
    const others = [5, 'text', true, null, [], {}, [value], { value }]
    for (const other of others.filter((other) => typeof other !== typeof value || other === null))
      addValue(name, `as ${JSON.stringify(other)}`, other)
  }

  // Texts
  for (const [name, [min, max]] of Object.entries(texts)) {
    addValue(name, 'that is empty', '')
    addValue(name, `of ${max + 1} characters`, 'x'.repeat(max + 1))
    addValue(name, `of ${max + 1} characters outside the basic plane`, '🕰'.repeat(max + 1))
    if (min > 1) addValue(name, `of ${min - 1} characters`, 'x'.repeat(min - 1))
    for (const nul of ['\0', 'abc\0def', 'long enough\0'])
      addValue(name, `with U+0000: ${JSON.stringify(nul)}`, nul)
    for (const lone of LONE_SURROGATES)
      addValue(name, `with a lone surrogate: ${JSON.stringify(lone)}`, `long enough ${lone}`)
  }
  for (const name of ['username', 'to'].filter((name) => name in valid && operationId !== 'login'))
    for (const username of [
      'a b c',
      '-abc',
      '.abc',
      'ünal',
      'ada\n',
      ' ada',
      'ada/',
      'Ｇrace',
      'KELVIN\u212a',
      '🕰🕰🕰',
    ])
      addValue(name, `that nobody can have: ${JSON.stringify(username)}`, username)

  // Cursors
  if ('cursor' in valid) {
    for (const cursor of [-1, 1.5, 2 ** 53, 1e300, '1'])
      addValue('cursor', `of ${JSON.stringify(cursor)}`, cursor)
    add('a cursor beyond all numbers', '{"cursor":1e400}', '/cursor')
    add('a cursor ahead', { cursor: 4 }, '', {
      status: 409,
      code: 'cursor_ahead',
      pointer: undefined,
    } as object)
  }

  // Content types
  const unsupported = { status: 415, code: 'unsupported_media_type', pointer: undefined }
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/json',
    'json',
    '',
  ])
    add(`the content type "${type}"`, json, '', { ...unsupported, headers: { 'content-type': type } })

  // Sizes
  const large = { status: 413, code: 'body_too_large', pointer: undefined }
  add('a body of 1 MB', { ...valid, [required[0] ?? '']: 'x'.repeat(1_000_000) }, '', large)
  add('a body of 1 MB of white space', `${' '.repeat(1_000_000)}${json}`, '', large)

  if (authenticated) {
    const unauthorized = {
      status: 401,
      code: 'invalid_token',
      pointer: undefined,
      token: undefined,
    } as object
    add('no token, before a malformed body is looked at', '{', '', unauthorized)
    add('no token, before the content type is looked at', json, '', {
      ...unauthorized,
      headers: { 'content-type': 'text/plain' },
    })
    add('no token, before the size is looked at', ' '.repeat(1_000_000), '', unauthorized)
    add('no token, before the input is looked at', { nonsense: true }, '', unauthorized)
  }
  return refusals
}

function badQueries(): Refusal[] {
  const read = (query: string, pointer: string): Refusal => ({
    title: `readInbox: ?${query}`,
    method: 'GET',
    path: `/v1/inbox?${query}`,
    status: 400,
    code: 'invalid_request',
    pointer,
  })
  const NO_NUMBERS = [
    'abc',
    '',
    '-1',
    '1.5',
    '1e0',
    '0x1',
    '%201',
    '1%00',
    'NaN',
    'Infinity',
    'null',
    'true',
    '%zz',
    '[]',
    '١',
  ]
  const perName = {
    after: ['9007199254740992', '99999999999999999999'],
    wait: ['56', '600'],
    limit: ['0', '501'],
  }
  const refusals = Object.entries(perName).flatMap(([name, beyond]) => [
    ...[...NO_NUMBERS, ...beyond].map((value) =>
      read(`${name}=${value}&wait=0`.replace(/^(wait=.*)&wait=0/, '$1'), `/query/${name}`),
    ),
    read(`${name}=1&${name}=1`, `/query/${name}`),
  ])
  const ahead = (cursor: number): Refusal => ({
    ...read(`after=${cursor}&wait=0`, ''),
    status: 409,
    code: 'cursor_ahead',
    pointer: undefined,
  })
  const unknown = [
    ...AUTHENTICATED,
    { method: 'GET', path: '/healthz' },
    { method: 'GET', path: '/readyz' },
  ].map((request) => ({
    ...request,
    title: `${request.method} ${request.path}: a query parameter that is not known`,
    path: `${request.path}${request.path.includes('?') ? '&' : '?'}nonsense=1`,
    status: 400,
    code: 'invalid_request',
    pointer: '/query/nonsense',
  }))
  return [...refusals, ...unknown, ahead(4), ahead(2 ** 53 - 1)]
}

function badPaths(): Refusal[] {
  const get = (path: string, title = path, status = 400): Refusal => ({
    title: `a path: ${title}`,
    method: 'GET',
    path,
    status,
    code: status === 400 ? 'invalid_request' : 'not_found',
  })
  const names = [
    'ab',
    'a'.repeat(33),
    'a'.repeat(5_000),
    'a%20b',
    '-ab',
    'a%00b',
    'ad%C3%A4',
    '',
    '%F0%9F%95%B0',
    'ada%0A',
  ]
  const ids = [
    'x',
    '01a20779',
    '01a20779-7500-71c9-b0a4-e83d57f2094',
    'g1a20779-7500-71c9-b0a4-e83d57f2094b',
    '..%2f..',
  ]
  return [
    ...names.map((name) => ({
      ...get(`/v1/users/${name}`, `/v1/users/${name.slice(0, 40)}`),
      // A text that is too long is not checked as a name.
      ...(name.length < 100 && { pointer: '/path/username' }),
    })),
    ...ids.map((id) => ({ ...get(`/v1/messages/${id}`), pointer: '/path/id' })),
    ...['%', '%zz', '%ff', '%C3', 'ada%'].map((name) => get(`/v1/users/${name}`)),
    ...[
      '/v1',
      '/v1/',
      '/v2/inbox',
      '/v1/inbox/',
      '/V1/inbox',
      '/v1/users',

      '/v1/users/ada/x',
      '//v1/inbox',
      '/v1//inbox',
      '/nothing',
      '/.env',
    ].map((path) => get(path, path, 404)),
    { ...get('/v1/users/nobody', '/v1/users/nobody', 404), code: 'user_not_found' },
    {
      ...get('/v1/nothing', 'one that is not there, with a body that is no JSON', 404),
      method: 'POST',
      body: '{',
    },
    {
      ...get('/v1/nothing', 'one that is not there, with a large body', 404),
      method: 'POST',
      body: ' '.repeat(100_000),
    },
  ]
}

function badHeaders(): Refusal[] {
  const send = (title: string, headers: Record<string, string>, pointer: string): Refusal => ({
    title,
    method: 'POST',
    path: '/v1/messages',
    body: { to: 'grace', body: 'Hello' },
    headers,
    status: 400,
    code: 'invalid_request',
    pointer,
  })
  const keys = [
    '',
    '""',
    '"',
    '"a',
    'a"',
    'a b',
    '"a"b"',
    'a\\b',
    'k\u00e9y',
    'a,b c',
    'k'.repeat(256),
    `"${'k'.repeat(256)}"`,
    'k'.repeat(4_000),
    '"a", "b"',
  ]
  return [
    ...keys.map((key) =>
      send(
        `an Idempotency-Key of ${key.slice(0, 20)}`,
        { 'idempotency-key': key },
        '/headers/idempotency-key',
      ),
    ),
    {
      ...send('a Prefer of 257 characters', { prefer: 'x'.repeat(257) }, '/headers/prefer'),
      method: 'GET',
      path: '/v1/inbox?wait=0',
      body: undefined,
    },
  ]
}

function badTokens(ada: Person): Refusal[] {
  const claims = claimsOf(ada.token)
  const [header = '', content = '', signature = ''] = ada.token.split('.')
  const forged = (forgery: Partial<Parameters<typeof forge>[0]> = {}) =>
    forge({ claims, secret: SECRET, ...forgery })
  const unsigned = (alg: string) =>
    `${forge({ header: { alg }, claims, secret: '' }).split('.').slice(0, 2).join('.')}.`
  const inbox = { method: 'GET', path: '/v1/inbox?after=3&wait=0', status: 401 }
  const now = Math.floor(Date.now() / 1_000)

  const authorizations = {
    'another scheme': `Basic ${Buffer.from('ada:password').toString('base64')}`,
    'the token without a scheme': ada.token,
    'a scheme without a token': 'Bearer',
    'two tokens': `Bearer ${ada.token} ${ada.token}`,
    'a token in quotes': `Bearer "${ada.token}"`,
    'something that is no token': 'Bearer x',
    'dots alone': 'Bearer ..',
    'a token of 6000 characters': `Bearer ${'a'.repeat(2_000)}.${'b'.repeat(2_000)}.${'c'.repeat(2_000)}`,
  }
  const invalid = {
    'that has expired': forged({ claims: { ...claims, exp: now - 1 } }),
    'that never expires': forged({ claims: { ...claims, exp: undefined } }),
    'that expires at no time': forged({ claims: { ...claims, exp: 'never' } }),
    'that was issued at no time': forged({ claims: { ...claims, iat: 'x' } }),
    'of another secret': forged({ secret: `${SECRET}!` }),
    'of an empty secret': forged({ secret: '' }),
    'with another name in it': `${header}.${forged({ claims: { ...claims, sub: 'grace' } }).split('.')[1]}.${signature}`,
    'with a changed signature': `${header}.${content}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'with a shortened signature': ada.token.slice(0, -1),
    'without a signature': `${header}.${content}.`,
    'with alg none': unsigned('none'),
    'with alg None': unsigned('None'),
    'with alg none and the signature': `${unsigned('none')}${signature}`,
    'with alg HS512, well signed': forged({ header: { alg: 'HS512' }, hash: 'sha512' }),
    'with alg HS512 and the other hash': forged({ header: { alg: 'HS512' } }),
    'with alg RS256': forged({ header: { alg: 'RS256' } }),
    'with alg ES256': forged({ header: { alg: 'ES256' } }),
    'without an alg': forged({ header: { alg: undefined } }),
    'with a key of its own': forged({ secret: 'mine', header: { jwk: { kty: 'oct', k: 'bWluZQ' } } }),
    'of another issuer': forged({ claims: { ...claims, iss: 'elsewhere' } }),
    'of no issuer': forged({ claims: { ...claims, iss: undefined } }),
    'for another audience': forged({ claims: { ...claims, aud: 'elsewhere' } }),
    'for no audience': forged({ claims: { ...claims, aud: undefined } }),
    'without a session': forged({ claims: { ...claims, sid: undefined } }),
    'without an owner': forged({ claims: { ...claims, sub: undefined } }),
    'whose content is no object': forged({ claims: 'text' as never }),
    'whose content is null': forged({ claims: null as never }),
    'whose content is a list': forged({ claims: [claims] as never }),
    "with somebody else's name, well signed": forged({ claims: { ...claims, sub: 'grace' } }),
    ...Object.fromEntries(
      (
        [
          [
            'sid',
            [{}, { id: claims['sid'] }, [claims['sid']], 1, true, null, '', 'a\u0000b', 'x'.repeat(65)],
          ],
          ['sub', [{ name: 'ada' }, ['ada'], 1, true, null, '']],
          ['exp', [String(claims['exp']), -1, 0, now + 0.5, 1e12, 1e300, {}, [claims['exp']], true, null]],
        ] as const
      ).flatMap(([claim, values]) =>
        values.map((value) => [
          `whose ${claim} is ${JSON.stringify(value).slice(0, 40)}`,
          forged({ claims: { ...claims, [claim]: value } }),
        ]),
      ),
    ),
  }
  const ended = {
    'of a session that never was': forged({ claims: { ...claims, sid: 'AAAAAAAAAAAAAAAAAAAAAA' } }),
  }

  return [
    ...AUTHENTICATED.map((request) => ({
      ...inbox,
      ...request,
      title: `no token: ${request.method} ${request.path}`,
      token: undefined,
      code: 'invalid_token',
    })),
    {
      ...inbox,
      title: 'a token in the query',
      path: `${inbox.path}&access_token=${ada.token}`,
      token: undefined,
      code: 'invalid_token',
    },
    {
      ...inbox,
      title: 'no token, before the query is looked at',
      path: '/v1/inbox?after=-1',
      token: undefined,
      code: 'invalid_token',
    },
    ...Object.entries(authorizations).map(([title, authorization]) => ({
      ...inbox,
      title,
      headers: { authorization },
      code: 'invalid_token',
    })),
    ...Object.entries(invalid).map(([what, token]) => ({
      ...inbox,
      title: `a token ${what}`,
      token,
      code: 'invalid_token',
    })),
    ...Object.entries(ended).map(([what, token]) => ({
      ...inbox,
      title: `a token ${what}`,
      token,
      code: 'session_ended',
    })),
  ]
}

test('malformed HTTP is refused with a problem document, too', async (t) => {
  const server = await shared()
  const client = new Client(server)
  const ada = await client.join(newName('ada'))
  await ada.acknowledge(0)
  const before = await stored(server.database)
  const authorization = `Authorization: Bearer ${ada.token}`
  const json = 'Content-Type: application/json'
  const message = JSON.stringify({ to: ada.username, body: 'Hello' })

  const refusals: Record<string, [bytes: string, status: number, code?: string]> = {
    'a greeting': ['hello\r\n\r\n', 400],
    'a TLS handshake': ['\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', 400],
    'HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    'a version that is none': ['GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n', 400],
    'a method in lower case': ['get /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'a space in the path': ['GET /v1/users/a b HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'no Host': ['GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    'two Hosts': [rawRequest('GET /healthz', ['Host: test']), 400],
    'a header without a colon': [rawRequest('GET /healthz', ['nonsense']), 400],
    'a header name with a space': [rawRequest('GET /healthz', ['X Y: z']), 400],
    'a header with U+0000': [rawRequest('GET /healthz', ['X: a\0b']), 400],
    'a header with a bare carriage return': [rawRequest('GET /healthz', ['X: a\rb']), 400],
    'a header of 9000 characters': [rawRequest('GET /healthz', [`X: ${'a'.repeat(9_000)}`]), 431],
    'a token of 9000 characters': [
      rawRequest('GET /v1/inbox', [`Authorization: Bearer ${'a'.repeat(9_000)}`]),
      431,
    ],
    'a path of 9000 characters': [rawRequest(`GET /v1/users/${'a'.repeat(9_000)}`), 431],
    'three thousand headers': [
      rawRequest(
        'GET /healthz',
        Array.from({ length: 3_000 }, (_, i) => `X${i}: y`),
      ),
      431,
    ],
    'two lengths': [
      rawRequest('POST /v1/messages', [authorization, json, 'Content-Length: 3'], message),
      400,
    ],
    'a negative length': [rawRequest('POST /v1/messages', [authorization, json, 'Content-Length: -1']), 400],
    'a length and chunks': [
      rawRequest('POST /v1/messages', [authorization, json, 'Transfer-Encoding: chunked'], message),
      400,
    ],
    'chunks that are none': [
      rawRequest('POST /v1/messages', [authorization, json, 'Transfer-Encoding: chunked']) + message,
      400,
    ],
    'chunks of more than a body may have': [
      `${rawRequest('POST /v1/messages', [authorization, json, 'Transfer-Encoding: chunked'])}80000\r\n${' '.repeat(0x80000)}\r\n0\r\n\r\n`,
      413,
      'body_too_large',
    ],
    'a body without a content type': [
      rawRequest('POST /v1/messages', [authorization], message),
      415,
      'unsupported_media_type',
    ],
    'a compressed body': [
      rawRequest('POST /v1/messages', [authorization, json, 'Content-Encoding: gzip'], '\x1f\x8b'),
      415,
      'unsupported_media_type',
    ],
    'two idempotency keys': [
      rawRequest(
        'POST /v1/messages',
        [authorization, json, 'Idempotency-Key: a', 'Idempotency-Key: b'],
        message,
      ),
      400,
    ],
    'a body with a path that has none, which is too large': [
      rawRequest('POST /v1/logout', [authorization, json], ' '.repeat(100_000)),
      413,
      'body_too_large',
    ],
    'a path that is not encoded well': [rawRequest('GET /v1/users/%c3%28', [authorization]), 400],
    'all paths': [rawRequest('OPTIONS *'), 404, 'not_found'],
  }

  for (const [title, [bytes, status, code = 'invalid_request']] of Object.entries(refusals)) {
    await t.test(title, async () => {
      const answer = await sendRaw(server.url, bytes)

      assertRefused(answer, { status, code })
      assert.ok(answer.headers.get('x-request-id'), 'there is no X-Request-Id')
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    })
  }

  await t.test('and nothing has changed', async () => assert.deepEqual(await stored(server.database), before))

  await t.test('an unknown expectation is no reason to refuse', async () => {
    const answer = await sendRaw(
      server.url,
      rawRequest('POST /v1/inbox/ack', [authorization, json, 'Expect: the-unexpected'], '{"cursor":0}'),
    )

    assert.equal(answer.status, 204)
  })

  await t.test('and the server continues to serve others', async () => {
    assert.equal((await ada.send(ada, 'Still here')).status, 201)
    assert.deepEqual(
      server.logs.filter(({ level }) => level >= 50),
      [],
      'an error was logged',
    )
  })
})

test('an unknown method is refused with 405 and the methods of the path', async (t) => {
  const server = await shared()
  const client = new Client(server)
  const ada = await client.join(newName('ada'))
  const allowed = {
    '/v1/register': 'POST',
    '/v1/login': 'POST',
    '/v1/token': 'POST',
    '/v1/logout': 'POST',
    '/v1/messages': 'POST',
    '/v1/messages/01a20779-7500-71c9-b0a4-e83d57f2094b': 'GET, HEAD',
    '/v1/inbox': 'GET',
    '/v1/inbox/ack': 'POST',
    '/v1/users/ada': 'GET, HEAD',
    '/v1/me/password': 'PUT',
    '/v1/me/delete': 'POST',
    '/healthz': 'GET, HEAD',
    '/readyz': 'GET, HEAD',
  }
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']

  for (const [path, allow] of Object.entries(allowed)) {
    await t.test(`${path} has only ${allow}`, async () => {
      for (const method of METHODS.filter((other) => !allow.split(', ').includes(other))) {
        // With an unreadable body: the method is refused before the body is read.
        const body = ['POST', 'PUT', 'PATCH'].includes(method) ? '{' : ''
        const headers = ['Content-Type: application/json', `Authorization: Bearer ${ada.token}`]
        const answer = await sendRaw(server.url, rawRequest(`${method} ${path}`, headers, body))

        assert.deepEqual([answer.status, answer.headers.get('allow')], [405, allow], method)
        // HEAD has no body, but the headers of one.
        if (method === 'HEAD') assert.match(answer.headers.get('content-type') ?? '', /problem\+json/)
        else {
          assert.equal(answer.body.code, 'method_not_allowed', method)
          assertInContract(method, path, answer)
        }
      }
    })
  }
})
