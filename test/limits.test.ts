import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBuckets } from '../src/limits/token-buckets.ts'
import { adaAndBob, Client, Person, range } from './support/client.ts'
import { stillClock } from './support/clocks.ts'
import type { Answer } from './support/contract-check.ts'
import { shareServer, startServer } from './support/servers.ts'
import { claimsOf, forge, forgedApplicationToken } from './support/tokens.ts'

/** The rate limits, as in src/limits/rate-limits.ts. */
const SENDS = 500
const IDLE_POLLS = 30
const BLOCK_LISTS = 60

const UNKNOWN_TOKENS = 100

const server = shareServer({ RATE_LIMITS: 'on', MESSAGE_LENGTH_MAX: '1048576' })

function assertLimited({ status, headers, body }: Answer, code: string, secondsMax: number) {
  assert.deepEqual([status, body.code], [429, code])
  const seconds = Number(headers.get('retry-after'))
  assert.ok(seconds >= 1 && seconds <= secondsMax, `Retry-After is ${headers.get('retry-after')}`)
}

const count = (answers: Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length

test('sends are limited per account, over all its tokens', async (t) => {
  const { client, ada, bob } = await adaAndBob(await server())
  const { token } = (await ada.createToken()).body
  const device = new Person(client, ada.username, token, 0)

  // The clock is stopped, so that no tokens are added, however long this takes.
  stillClock(t)
  const answers = await Promise.all(
    range(1, SENDS + 20).map((i) => (i % 2 === 0 ? ada : device).send(bob, `message ${i}`)),
  )

  assert.equal(count(answers, 201), SENDS)
  const limited = answers.filter(({ status }) => status !== 201)
  for (const answer of limited) assertLimited(answer, 'rate_limited', 1)
  assert.equal((await bob.send(ada, 'I may')).status, 201)
  const { body } = await bob.poll({ wait: 0, limit: 500 })
  assert.equal(body.messages.length, 500, 'what was accepted is there')
})

test('reading and changing the own account are limited separately', async (t) => {
  const { ada } = await adaAndBob(await server())
  stillClock(t)

  const changes = await Promise.all(range(1, 101).map(() => ada.update({})))
  assert.equal(count(changes, 200), 100)
  assertLimited(await ada.endSession('of-nobody'), 'rate_limited', 1)
  const looks = await Promise.all(range(1, 601).map((i) => (i % 2 ? ada.me() : ada.sessions())))
  assert.equal(count(looks, 200), 600)
  assertLimited(looks.find(({ status }) => status === 429) as Answer, 'rate_limited', 1)
})

test('polls that repeat a cursor without waiting are limited, those that wait are not', async () => {
  const { ada, bob } = await adaAndBob(await server())

  const answers = await Promise.all(range(1, IDLE_POLLS + 10).map(() => ada.poll({ after: 0, wait: 0 })))

  assert.ok(count(answers, 429) >= 1, 'nothing was refused')
  assertLimited(answers.find(({ status }) => status === 429) as Answer, 'rate_limited', 1)
  const waiting = ada.poll({ after: 0, wait: 30 })
  await bob.send(ada, 'Worth the wait')
  assert.equal((await waiting).body.messages.length, 1)
  for (const after of range(1, IDLE_POLLS + 5)) {
    await bob.send(ada, 'Something new')
    assert.equal((await ada.poll({ after, wait: 0 })).status, 200, 'a cursor that moves on is no idle poll')
  }
})

test('unknown application tokens are limited by address, and valid ones still work there', async (t) => {
  const { client, ada, bob } = await adaAndBob(await server())
  const [known, unknown] = [(await ada.createToken()).body, (await ada.createToken()).body]
  await client.sendText(known.token, bob, 'from now on it is in memory')
  stillClock(t)

  for (const n of range(1, UNKNOWN_TOKENS)) {
    const { status, body } = await client.sendText(forgedApplicationToken(n), bob, 'forged')
    assert.deepEqual([status, body.code], [401, 'invalid_token'])
  }

  assertLimited(await client.sendText(forgedApplicationToken(0), bob, 'forged'), 'rate_limited', 1)
  assertLimited(await client.sendText(unknown.token, bob, 'not in memory'), 'rate_limited', 1)
  assert.equal((await client.sendText(`${known.token.slice(0, -1)}x`, bob, 'mistyped')).status, 401)
  assert.equal((await client.sendText(known.token, bob, 'as before')).status, 201)
  assert.equal((await ada.send(bob, 'as before')).status, 201)
})

test('RATE_LIMITS=off lets everything pass', async (t) => {
  const client = new Client(await startServer(t, { RATE_LIMITS: 'off' }))
  const ada = await client.join('ada')

  const answers = await Promise.all([
    ...range(1, 65).map(() => client.login('ada', { password: 'guess' })),
    ...range(1, BLOCK_LISTS + 10).map(() => ada.blocks()),
    ...range(1, IDLE_POLLS + 10).map(() => ada.poll({ after: 0, wait: 0 })),
  ])

  assert.equal(count(answers, 429), 0)
})

test('an account sends 8 MiB of text at once, and then gets Retry-After', async () => {
  const { ada, bob } = await adaAndBob(await server())
  // 4 MiB of counted text.
  const text = '😀'.repeat(1_048_576)

  const [first, second, third] = [
    await ada.send(bob, text),
    await ada.send(bob, text),
    await ada.send(bob, text),
  ]

  assert.deepEqual([first.status, second.status], [201, 201])
  assert.deepEqual([third.status, third.body.code], [429, 'rate_limited'])
  // At 512 KiB per second, less the tokens added while the first messages were sent.
  const retryAfter = Number(third.headers.get('retry-after'))
  assert.ok(retryAfter >= 1 && retryAfter <= 8, `${retryAfter} s`)
  // As long, because a short one would fit even if all accounts shared the limit.
  assert.equal((await bob.send(ada, text)).status, 201)
})

test('a secret can be rotated', async (t) => {
  const [old, fresh] = ['the old secret that is long enough', 'the new secret that is long enough']
  const server = await startServer(t, { JWT_SECRET: `${fresh}, ${old}` })
  const client = new Client(server)
  const ada = await client.join('ada')
  const claims = claimsOf(ada.token)
  // As the server signed it before the rotation.
  const token = forge({ claims, secret: old })

  await t.test(
    'a token signed with the old secret is valid while that is listed after the new one',
    async () => {
      assert.equal((await client.get('/v1/users/ada', { token })).status, 200)
    },
  )

  await t.test('new tokens are signed only with the first secret', async (t) => {
    const renewed = (await client.post('/v1/token', undefined, { token })).body.token
    await server.stop()
    const later = new Client(await startServer(t, { JWT_SECRET: fresh }, server.database))

    assert.equal((await later.get('/v1/users/ada', { token: ada.token })).status, 200)
    assert.equal((await later.get('/v1/users/ada', { token: renewed })).status, 200)
    const refused = await later.get('/v1/users/ada', { token })
    assert.deepEqual([refused.status, refused.body.code], [401, 'invalid_token'])
    assert.equal(claimsOf(renewed)['sid'], claims['sid'], 'a renewed token is of the same session')
  })
})

test('a token bucket', async (t) => {
  const START_MS = 1_000_000
  const bucketOf = (burst: number, everyMs: number) => new TokenBuckets({ burst, everyMs })

  await t.test('gives as many tokens at once as its burst, then says how long to wait', () => {
    const buckets = bucketOf(3, 100)

    for (const _ of range(1, 3)) assert.equal(buckets.take('ada', START_MS), 0)
    assert.equal(buckets.take('ada', START_MS), 100)
    assert.equal(buckets.take('ada', START_MS + 40), 60)
  })

  await t.test('takes as many tokens as the cost, and says how long to wait for them', () => {
    const buckets = bucketOf(1_000, 0.5)

    assert.equal(buckets.take('ada', START_MS, 900), 0)
    assert.equal(buckets.take('ada', START_MS, 300), 100)
    assert.equal(buckets.take('ada', START_MS, 100), 0)
    assert.equal(buckets.take('ada', START_MS + 150, 300), 0)
    assert.equal(buckets.take('ada', START_MS + 150, 1), 0.5)
  })

  await t.test('gives one more token per interval', () => {
    const buckets = bucketOf(3, 100)
    for (const _ of range(1, 3)) buckets.take('ada', START_MS)

    for (const i of range(1, 10)) {
      assert.equal(buckets.take('ada', START_MS + i * 100 - 1), 1, `before interval ${i} is over`)
      assert.equal(buckets.take('ada', START_MS + i * 100), 0, `after interval ${i}`)
      assert.equal(buckets.take('ada', START_MS + i * 100), 100, `only one after interval ${i}`)
    }
  })

  await t.test('takes nothing when it refuses', () => {
    const buckets = bucketOf(1, 100)
    buckets.take('ada', START_MS)

    for (const i of range(0, 99)) assert.equal(buckets.take('ada', START_MS + i), 100 - i)
    assert.equal(buckets.take('ada', START_MS + 100), 0)
  })

  await t.test('is full again after a pause, and never more than full', () => {
    const buckets = bucketOf(3, 100)
    for (const _ of range(1, 3)) buckets.take('ada', START_MS)

    for (const _ of range(1, 3)) assert.equal(buckets.take('ada', START_MS + 1_000_000), 0)
    assert.ok(buckets.take('ada', START_MS + 1_000_000) > 0)
  })

  await t.test('says how long to wait, and takes nothing for it', () => {
    const buckets = bucketOf(2, 100)
    for (const _ of range(1, 5)) assert.equal(buckets.waitMs('ada', START_MS), 0)
    for (const _ of range(1, 2)) buckets.take('ada', START_MS)

    assert.equal(buckets.waitMs('ada', START_MS + 30), 70)
    assert.equal(buckets.waitMs('ada', START_MS + 100), 0)
  })

  await t.test('gives parts of a token', () => {
    const buckets = bucketOf(1, 100)

    for (const _ of range(1, 4)) assert.equal(buckets.take('ada', START_MS, 0.25), 0)
    assert.equal(buckets.take('ada', START_MS, 0.25), 25)
    assert.equal(buckets.take('ada', START_MS + 25, 0.25), 0)
  })

  await t.test('counts refused attempts if asked to, up to a bound', () => {
    const buckets = new TokenBuckets({ burst: 1, everyMs: 100, debtMsMax: 250 })
    buckets.take('ada', START_MS)

    const waits = range(1, 5).map(() => buckets.take('ada', START_MS))

    assert.deepEqual(waits, [200, 300, 350, 350, 350])
    assert.equal(buckets.waitMs('ada', START_MS), 350)
    assert.equal(buckets.take('ada', START_MS + 350), 0, 'the wait that it said is enough')
  })

  await t.test('returns the token of an attempt that did not count', () => {
    const buckets = bucketOf(2, 100)
    buckets.take('ada', START_MS)
    buckets.take('ada', START_MS)
    buckets.returnToken('ada')

    assert.equal(buckets.take('ada', START_MS), 0)
    assert.equal(buckets.take('ada', START_MS), 100)
  })

  await t.test('is never more than full when tokens are returned', () => {
    const buckets = bucketOf(2, 100)
    buckets.take('ada', START_MS)
    for (const _ of range(1, 5)) buckets.returnToken('ada')

    for (const _ of range(1, 2)) assert.equal(buckets.take('ada', START_MS), 0)
    assert.ok(buckets.take('ada', START_MS) > 0)
  })

  await t.test('is separate for each key, and the number 1 is not the text "1"', () => {
    const buckets = bucketOf(1, 100)

    for (const key of ['ada', 'grace', 1, '1']) assert.equal(buckets.take(key, START_MS), 0, String(key))
    for (const key of ['ada', 'grace', 1, '1']) assert.equal(buckets.take(key, START_MS), 100, String(key))
  })

  await t.test('is remembered while it is in use, and memory is bounded', () => {
    const buckets = bucketOf(1, 1_000_000)
    const idle = range(1, 99_999)
    for (const key of idle) buckets.take(key, START_MS - 2_000_000)
    buckets.take('busy', START_MS)

    // Idle buckets are full again and are evicted; the busy one stays.
    for (const key of ['new', 'newer']) assert.equal(buckets.take(key, START_MS + 1), 0)
    assert.ok(buckets.take('busy', START_MS + 2) > 0)

    // If all are busy, the least recently used one is evicted, so that strangers cannot fill the memory.
    for (const key of idle) buckets.take(-key, START_MS + 3)
    assert.ok(buckets.take('busy', START_MS + 4) > 0, 'one that is refused is in use')
    for (const key of [...idle, 'one more']) buckets.take(key, START_MS + 5)
    assert.equal(buckets.take('busy', START_MS + 6), 0, 'it was kept beyond the bound')
  })
})
