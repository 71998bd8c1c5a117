import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { readConfig } from '../src/config.ts'
import { readContract, type Schema } from '../src/contract/document.ts'
import { validatorCompiler } from '../src/contract/validation.ts'
import type { Problem } from '../src/problems.ts'

type Part = Record<string, unknown>

const text = readFileSync(new URL('../openapi.yaml', import.meta.url), 'utf8')
const document = load(text) as {
  components: Record<string, Part>
  paths: Record<string, Record<string, Part>>
}
const { operations } = readContract()

/** A part of a schema, and where it is. */
function* partsOf(part: unknown, path: string): Generator<[Part, string]> {
  if (typeof part !== 'object' || part === null) return
  if (!Array.isArray(part)) yield [part as Part, path]
  for (const [key, value] of Object.entries(part)) yield* partsOf(value, `${path}/${key}`)
}

/** The schemas of all answers and their headers, with references replaced. */
const responseSchemas = operations.flatMap(({ operationId, responses }) =>
  Object.entries(responses as Record<string, Record<string, Record<string, { schema: Schema }>>>).flatMap(
    ([status, { content = {}, headers = {} }]) =>
      Object.entries({ ...content, ...headers }).map(
        ([name, { schema }]) => [`${operationId} ${status} ${name}`, schema] as const,
      ),
  ),
)

test('responses are open: additions within v1 break no client', async (t) => {
  const CLOSED = ['enum', 'const', 'pattern', 'minLength', 'maxLength', 'minItems', 'maxItems']

  await t.test('no response is closed to members, to values or to lengths', () => {
    for (const [name, schema] of responseSchemas)
      for (const [part, path] of partsOf(schema, name)) {
        if (path.endsWith('/properties')) continue
        assert.notEqual(part['additionalProperties'], false, path)
        assert.deepEqual(
          CLOSED.filter((keyword) => keyword in part),
          [],
          path,
        )
      }
  })

  await t.test('members with known values list them', () => {
    const members = { delivery: 'SentMessage', state: 'MessageStatus', reason: 'Gap', code: 'Problem' }
    for (const [member, schema] of Object.entries(members)) {
      const { properties = {} } = (document.components['schemas']?.[schema] ?? {}) as Schema
      assert.ok(Array.isArray(properties[member]?.['x-extensible-enum']), member)
    }
  })
})

/** A browser's subscription is accepted unchanged, with members that later browsers add. */
const OPEN_REQUESTS = ['createPushSubscription']

test('requests are closed, and no text in them is without a limit', () => {
  for (const { operationId, body } of operations)
    for (const [part, path] of partsOf(body, operationId)) {
      if (part['type'] === 'object')
        assert.equal(part['additionalProperties'], OPEN_REQUESTS.includes(operationId), path)
      if (part['type'] === 'string')
        assert.ok('maxLength' in part || 'pattern' in part || 'enum' in part, path)
    }
})

test('every pattern of a request is described in words', () => {
  for (const { operationId, body, parameters } of operations)
    for (const [part, path] of partsOf({ body, parameters }, operationId))
      if ('pattern' in part) assert.ok('x-rule' in part, path)
})

test('the contract avoids constructs that break generators', async (t) => {
  await t.test('patterns that differ without the flag u, or that stand beside a format', () => {
    for (const [part, path] of partsOf(document, '')) {
      const { pattern, format } = part
      if (typeof pattern !== 'string' || path.endsWith('/properties')) continue
      assert.doesNotMatch(pattern, /\\[pPu]/, path)
      assert.doesNotThrow(() => [new RegExp(pattern), new RegExp(pattern, 'u')], path)
      assert.equal(format, undefined, path)
    }
  })

  await t.test('two components with the same name, and reserved names', () => {
    const names = ['schemas', 'parameters', 'responses', 'headers'].flatMap((kind) =>
      Object.keys(document.components[kind] ?? {}).map((name) => name.toLowerCase()),
    )
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    )
    for (const name of ['timestamp', 'date', 'error', 'object', 'string'])
      assert.ok(!names.includes(name), name)
  })

  await t.test('answers without a status, or numbers without a size', () => {
    for (const { operationId, responses } of operations)
      assert.ok(!('default' in responses) && '500' in responses && '503' in responses, operationId)
    for (const [part, path] of partsOf(document, ''))
      if (part['maximum'] === Number.MAX_SAFE_INTEGER) assert.equal(part['format'], 'int64', path)
  })
})

test('every operation says which problems it answers with', async (t) => {
  const examplesOf = ({ content = {} }: Part & { content?: Record<string, { examples?: Part }> }) =>
    Object.values(content['application/problem+json']?.examples ?? {}).map(
      (example) => (example as { value: { code: string } }).value.code,
    )

  for (const { operationId, authenticated, method, path, responses } of operations)
    await t.test(operationId, () => {
      for (const [status, response] of Object.entries(responses)) {
        if (status < '400') continue
        const codes = (response as unknown as Part)['x-codes'] as string[]
        assert.ok(Array.isArray(codes), `${status} has no x-codes`)
        assert.deepEqual(
          new Set(examplesOf(response as unknown as Part)),
          new Set(codes),
          `examples of ${status}`,
        )
      }
      const expected = path.startsWith('/v1') ? ['400', '429', '500', '503'] : ['500', '503']
      // The content of every other method is read, even if the operation has none.
      const ofContent = method === 'GET' ? [] : ['413', '415']
      for (const status of [...expected, ...ofContent, ...(authenticated ? ['401'] : [])])
        assert.ok(status in responses, `${operationId} does not say ${status}`)
    })
})

test('all faults of a body are reported at once, each with a pointer and in words', async (t) => {
  const bodyOf = (operationId: string) =>
    operations.find((operation) => operation.operationId === operationId)?.body as Schema
  const compile = (operationId: string) => {
    const schema = bodyOf(operationId)
    const validate = validatorCompiler()({ schema, httpPart: 'body', method: 'POST', url: '/' })
    return (input: unknown) => (validate(input) as { error?: Problem }).error
  }
  const register = compile('register')

  await t.test('of a registration with five faults', () => {
    const problem = register({ username: '-', password: 'short', displayName: 7, nickname: 'x', age: 3 })

    assert.deepEqual(
      new Set(problem?.extras.errors),
      new Set([
        {
          pointer: '/username',
          detail:
            'must be 3 to 32 of the letters a to z, digits, ".", "_" and "-", and begin with a letter or digit',
        },
        { pointer: '/password', detail: 'must be 8 to 256 characters' },
        { pointer: '/displayName', detail: 'must be a string' },
        { pointer: '/nickname', detail: 'is unknown' },
        { pointer: '/age', detail: 'is unknown' },
      ]),
    )
    for (const part of ['password must be 8 to 256 characters', 'nickname is unknown'])
      assert.ok(problem?.message.includes(part), problem?.message)
  })

  await t.test('of an empty body', () => {
    const pointers = register({})?.extras.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`)

    assert.deepEqual(pointers, ['/username is required', '/password is required'])
  })

  await t.test('of text that is not well-formed, in words', () => {
    for (const password of ['long enough \0', 'long enough \ud83d'])
      assert.deepEqual(register({ username: 'ada', password })?.extras.errors, [
        { pointer: '/password', detail: 'must be well-formed Unicode without U+0000' },
      ])
    assert.equal(register({ username: 'ada', password: 'Is that so? 🕰' }), undefined)
  })

  await t.test('of numbers and switches', () => {
    const login = compile('login')({ username: '', password: '', takeover: 'yes' })

    assert.deepEqual(
      login?.extras.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`),
      [
        '/username must be 1 to 64 characters',
        '/password must be 1 to 256 characters',
        '/takeover must be true or false',
      ],
    )
    assert.deepEqual(compile('acknowledge')({ cursor: -1 })?.extras.errors, [
      { pointer: '/cursor', detail: 'must be a whole number from 0 to 9007199254740991' },
    ])
  })

  await t.test('and those of a hostile body are few, and found quickly', () => {
    const body = Object.fromEntries(Array.from({ length: 40_000 }, (_, index) => [`x${index}`, index]))
    const started = process.cpuUsage()
    const problem = register(body)
    const { user, system } = process.cpuUsage(started)

    assert.ok((problem?.extras.errors?.length ?? 0) <= 12, String(problem?.extras.errors?.length))
    assert.ok(user + system < 1_000_000, `${(user + system) / 1_000} ms`)
  })

  await t.test('and no sentence is a regular expression', () => {
    for (const { operationId, body } of operations) {
      if (!body) continue
      const names = Object.keys(body.properties ?? {})
      const check = compile(operationId)
      for (const value of ['', '\0', 'x'.repeat(20_000), -1, 1.5, [], {}, null, true])
        for (const { detail } of check(Object.fromEntries(names.map((name) => [name, value])))?.extras
          .errors ?? [])
          assert.match(
            detail,
            /^(must be|is required|is not known)/,
            `${operationId} ${JSON.stringify(value)}`,
          )
    }
  })
})

test('a fault names the limit that the operator has set', () => {
  const { operations: own } = readContract(readConfig({ MESSAGE_LENGTH_MAX: '10' }))
  const schema = own.find(({ operationId }) => operationId === 'sendMessage')?.body as Schema
  const validate = validatorCompiler()({ schema, httpPart: 'body', method: 'POST', url: '/' })
  const { error } = validate({ to: 'ada', body: 'eleven char' }) as { error: Problem }

  assert.deepEqual(error.extras.errors, [{ pointer: '/body', detail: 'must be 1 to 10 characters' }])
})
