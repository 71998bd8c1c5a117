import type { Operation, Schema } from '../../src/contract/document.ts'
import { newReceiver } from '../support/web-push.ts'
import type { People, Somebody } from './people.ts'
import { absurd, almost, type Chance, text, valid } from './values.ts'

/** A request under construction. */
export interface Draft {
  operationId: string
  method: string
  path: string
  /** In this order; names may repeat. */
  query: [string, string][]
  headers: Record<string, string>
  /** The value to serialise as JSON; undefined for no body. */
  body: unknown
  /** A raw body to send instead. */
  rawBody?: string | Uint8Array
  actor: Somebody | undefined
}

interface Making {
  operation: Operation
  people: People
  chance: Chance
}

/** Of two clients of push. */
const KEYS = [newReceiver(), newReceiver()].map(({ p256dh, auth }) => ({ p256dh, auth }))

/** Valid values by their names; all others come from the schema. */
function known(name: string, { people, chance, operation }: Making, actor: Somebody | undefined): unknown {
  const other = people.any(chance)
  const choices: Record<string, () => unknown> = {
    username: () => (operation.operationId === 'register' ? people.newName() : other?.username),
    to: () => other?.username,
    password: () => (operation.operationId === 'register' ? undefined : actor?.password),
    current: () => actor?.password,
    id: () => people.anyId(chance),
    after: () => chance.integer(0, actor?.cursor ?? 0),
    cursor: () => chance.integer(0, actor?.cursor ?? 0),
    wait: () => 0,
    endpoint: () => `https://push.example.net:8443/${chance.integer(1, 20)}`,
    keys: () => chance.of(KEYS),
    'Idempotency-Key': () => `key-${chance.integer(1, 20)}`,
    // A Prefer that the wait of the query overrides.
    Prefer: () => 'wait=0',
  }
  return choices[name]?.()
}

/** A valid request of an operation, according to the contract and the known state. */
export function validDraft(making: Making): Draft {
  const { operation, people, chance } = making
  const { operationId, method, authenticated, takesApplicationTokens } = operation
  const actor = chance.of(people.all.filter(({ token }) => !authenticated || token !== undefined))
  const choose = (name: string, schema: Schema) => {
    const value = chance.once(8) ? undefined : known(name, making, actor)
    return name === 'wait' ? 0 : (value ?? valid(schema, chance))
  }

  const draft: Draft = {
    operationId,
    method,
    path: operation.path,
    query: [],
    headers: {},
    body: undefined,
    actor,
  }
  const token = takesApplicationTokens && chance.once(3) ? actor?.applicationToken : undefined
  if (authenticated && actor?.token !== undefined)
    draft.headers['authorization'] = `Bearer ${token ?? actor.token}`
  for (const { name, in: place, required, schema } of operation.parameters) {
    if (!required && name !== 'wait' && chance.once(2)) continue
    const value = String(choose(name, schema))
    if (place === 'path') draft.path = draft.path.replace(`{${name}}`, encode(value))
    if (place === 'query') draft.query.push([name, encode(value)])
    if (place === 'header') draft.headers[name] = headerText(value)
  }
  const { body, takesText } = operation
  if (body && takesText) {
    draft.rawBody = String(choose('body', body))
    draft.headers['content-type'] = chance.of(TEXT_TYPES)
  } else if (body) {
    const required = (body['required'] ?? []) as string[]
    const members = Object.entries((body['properties'] ?? {}) as Record<string, Schema>)
    const given = members.filter(([name]) => required.includes(name) || chance.once(2))
    draft.body = Object.fromEntries(given.map(([name, schema]) => [name, choose(name, schema)]))
    // A name and its own password.
    if (operationId === 'login' && actor && !chance.once(8))
      Object.assign(draft.body as object, { username: actor.username, password: actor.password })
  }
  return draft
}

/** Makes one or two things invalid. */
export function spoil(draft: Draft, { operation, chance, people }: Making): void {
  const members = Object.entries((operation.body?.['properties'] ?? {}) as Record<string, Schema>)
  const spoilMember = (make: (schema: Schema, chance: Chance) => unknown) => {
    const [name, schema] = chance.of(members) ?? ['', {}]
    if (typeof draft.body === 'object' && draft.body !== null)
      Object.assign(draft.body, { [name]: make(schema, chance) })
  }
  const json = () => JSON.stringify(draft.body ?? {})
  const inQuery = operation.parameters.filter((parameter) => parameter.in === 'query')
  const ofBody = [
    () => spoilMember(almost),
    () => spoilMember(almost),
    () => spoilMember(() => absurd(chance)),
    () => delete (draft.body as Record<string, unknown>)[chance.of(members)?.[0] ?? ''],
    () => Object.assign(draft.body as object, { [text(chance, 3)]: absurd(chance) }),
    () => (draft.body = absurd(chance)),
    () => (draft.rawBody = json().slice(0, chance.integer(0, json().length))),
    () => (draft.rawBody = `\ufeff${json()}`),
    () => (draft.rawBody = json().replace('{', '{"__proto__":{"admin":true},')),
    () => (draft.rawBody = json().replace('{', '{"body":1e400,"body":"twice",')),
    () => (draft.rawBody = '['.repeat(chance.integer(1, 900))),
    () => (draft.rawBody = JSON.stringify({ body: 'x'.repeat(chance.integer(1, 100_000)) })),
    () => (draft.rawBody = Uint8Array.of(0xff, 0xfe, 0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d)),
    () => (draft.rawBody = text(chance, 20)),
    () => (draft.headers['content-type'] = chance.of(CONTENT_TYPES)),
    () => (draft.headers['content-encoding'] = chance.of(['gzip', 'identity', 'br'] as const)),
  ]
  const { body: textSchema = {} } = operation
  const ofText = [
    () => (draft.rawBody = toText(almost(textSchema, chance))),
    () => (draft.rawBody = Uint8Array.of(0x61, 0xed, 0xa0, 0x80)),
    () => (draft.headers['content-type'] = chance.of(CONTENT_TYPES)),
  ]
  const ofQuery = [
    () => draft.query.push([chance.of(inQuery)?.name ?? 'a', encode(absurdText(chance))]),
    () => draft.query.push([text(chance, 2).replaceAll(/[^a-z]/g, 'q'), '1']),
    () => draft.query.push([chance.of(inQuery)?.name ?? 'after', chance.of(BAD_ESCAPES)]),
    () => {
      const { name, schema } = chance.of(inQuery) ?? { name: 'limit', schema: {} }
      draft.query = [
        [name, encode(toText(almost(schema, chance)))],
        ...draft.query.filter(([other]) => other !== name),
      ]
    },
  ]
  const ofAnything = [
    () => (draft.method = chance.of(METHODS)),
    () => (draft.path += chance.of(['/', '/x', '%2f', '%00', '%zz', '//', ';a=b', '.', '%C3%28'] as const)),
    () => (draft.path = draft.path.replace(/[^/]+$/, encode(absurdText(chance)))),
    () => (draft.path = chance.of(PATHS)),
    () => (draft.path = `/v1/users/${'a'.repeat(chance.integer(1, 300))}`),
    () => (draft.headers['authorization'] = badAuthorization(draft, chance, people)),
    () => (draft.headers['idempotency-key'] = headerText(absurdText(chance))),
    () => (draft.headers['idempotency-key'] = 'k'.repeat(chance.integer(250, 260))),
    () => (draft.headers['accept'] = chance.of(['text/html', '*/*;q=0', ',,,'] as const)),
    () => (draft.headers['x-long'] = 'x'.repeat(chance.integer(1, 12_000))),
    () => (draft.headers['expect'] = chance.of(['100-continue', 'miracles'] as const)),
  ]
  const hasBody = typeof draft.body === 'object' && draft.body !== null
  const kinds = [
    ofAnything,
    ...(hasBody ? [ofBody, ofBody] : []),
    ...(operation.takesText ? [ofText, ofText] : []),
    ...(inQuery.length > 0 ? [ofQuery, ofQuery] : []),
  ]
  chance.of(chance.of(kinds) ?? ofAnything)?.()
}

const TEXT_TYPES = ['text/plain', 'text/plain; charset=utf-8', 'application/x-www-form-urlencoded'] as const
const CONTENT_TYPES = [
  'text/plain',
  'application/json; charset=utf-16',
  'application/xml',
  'multipart/form-data',
  ';',
  'json',
] as const
const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'BREW',
] as const
const PATHS = [
  '/',
  '/v1',
  '/v1/',
  '/v2/inbox',
  '/v1/messages',
  '/V1/Inbox',
  '/healthz/',
  '/v1/inbox/../me',
  '/*',
] as const
const BAD_ESCAPES = ['%', '%zz', '%00', '%ff', '%ed%a0%80', '+1', '1e3', '0x10', '１', ''] as const

function badAuthorization({ headers }: Draft, chance: Chance, people: People): string {
  const somebody = people.any(chance)
  const token = (chance.once(3) ? somebody?.applicationToken : somebody?.token) ?? 'a.b.c'
  return chance.of([
    ...[
      '',
      'Bearer',
      'Bearer ',
      'Basic YTpi',
      `bearer ${token}`,
      token,
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -2)}`,
    ],
    ...[
      `Bearer  ${token}`,
      `Bearer ${token.replace('.', '..')}`,
      'Bearer e30.e30.e30',
      `Bearer ${'a'.repeat(4_000)}`,
    ],
    headers['authorization'] ?? 'Bearer null',
  ] as const)
}

const toText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
const absurdText = (chance: Chance) => toText(absurd(chance))

/** Encodes for a URL, which cannot contain unpaired surrogates. */
const encode = (value: string) => encodeURIComponent(value.replaceAll(/\p{Cs}/gu, '\ufffd'))

/** Reduces a text to what a header can contain. */
const headerText = (value: string) => value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '')
