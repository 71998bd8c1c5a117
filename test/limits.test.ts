import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressKey, RateLimits } from '../src/limits/rate-limits.ts'
import { TokenBuckets } from '../src/limits/token-buckets.ts'
import { Problem } from '../src/problems.ts'
import { Client, passwordOf, range } from './support/client.ts'
import { stillClock } from './support/clocks.ts'
import type { Answer } from './support/contract-check.ts'
import { startServer } from './support/servers.ts'
import { claimsOf } from './support/tokens.ts'

/** What the service allows, as src/limits/rate-limits.ts has it. */
const PASSWORDS_OF_NAME = 10
const PASSWORDS_FROM_ADDRESS = 60
const REGISTRATIONS_FROM_ADDRESS = 60
const SENDS = 500
const IDLE_POLLS = 30

const ON = { RATE_LIMITS: 'on', TRUST_PROXY: 'loopback' }

/** The request comes from that address, as the proxy in front says. */
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })

const login = (client: Client, username: string, password: string, address: string) =>
  client.post('/v1/login', { username, password }, from(address))

function assertLimited({ status, headers, body }: Answer, code: string, secondsMax: number) {
  assert.deepEqual([status, body.code], [429, code])
  const seconds = Number(headers.get('retry-after'))
  assert.ok(seconds >= 1 && seconds <= secondsMax, `Retry-After is ${headers.get('retry-after')}`)
}

const count = (answers: Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length

test('wrong passwords for one name', async (t) => {
  const client = new Client(await startServer(t, ON))
  const ada = await client.join('ada')

  await t.test('are limited, from whatever address they come, however the name is written', async () => {
    const guesses = await Promise.all(
      range(1, 15).map((i) => login(client, i % 2 ? 'ada' : 'ADA', `guess ${i}`, `10.0.0.${i}`)),
    )

    assert.deepEqual([count(guesses, 401), count(guesses, 429)], [PASSWORDS_OF_NAME, 5])
    assertLimited(await login(client, 'ada', 'one more', '10.0.1.1'), 'too_many_attempts', 10)
  })

  await t.test('keep the right one out too, so that nobody learns which it is', async () => {
    assertLimited(await login(client, 'ada', passwordOf('ada'), '10.0.1.2'), 'too_many_attempts', 10)
  })

  await t.test('count the same where they are given to confirm', async () => {
    const change = await ada.request('PUT', '/v1/me/password', {
      body: { current: 'guess', new: 'long enough' },
    })
    assertLimited(change, 'too_many_attempts', 10)
    const deletion = await ada.request('POST', '/v1/me/delete', { body: { password: 'guess' } })
    assertLimited(deletion, 'too_many_attempts', 10)
  })

  await t.test('disturb neither her session nor anybody else', async () => {
    assert.equal((await ada.send('ada', 'Still here')).status, 201)
    await client.register('grace')
    assert.equal((await login(client, 'grace', passwordOf('grace'), '10.0.1.1')).status, 200)
  })

  await t.test('are limited for a name that nobody has, too', async () => {
    const guesses = await Promise.all(
      range(1, 15).map((i) => login(client, 'nobody', 'guess', `10.0.2.${i}`)),
    )

    assert.deepEqual([count(guesses, 401), count(guesses, 429)], [PASSWORDS_OF_NAME, 5])
  })

  await t.test('do not count when the request was invalid', async () => {
    for (const _ of range(1, 15)) assert.equal((await login(client, 'alan', '', '10.0.3.1')).status, 400)
    assert.equal((await login(client, 'alan', 'guess', '10.0.3.1')).status, 401)
  })
})

test('the right password is no attempt', async (t) => {
  const client = new Client(await startServer(t, ON))
  await client.register('ada')

  for (const _ of range(1, PASSWORDS_OF_NAME + 5))
    assert.equal((await login(client, 'ada', passwordOf('ada'), '10.0.0.1')).status, 200)
  for (const _ of range(1, PASSWORDS_OF_NAME))
    assert.equal((await login(client, 'ada', 'guess', '10.0.0.1')).status, 401)
})

test('wrong passwords from one address', async (t) => {
  const client = new Client(await startServer(t, ON))
  await client.register('ada')
  const names = range(1, PASSWORDS_FROM_ADDRESS + 5).map((i) => `name${i}`)

  await t.test('are limited, whatever names they are for', async () => {
    const guesses = await Promise.all(names.map((name) => login(client, name, 'guess', '2001:db8::1')))

    // A few come again while the guesses run.
    assert.ok(
      count(guesses, 401) >= PASSWORDS_FROM_ADDRESS && count(guesses, 429) >= 1,
      String(count(guesses, 401)),
    )
    assertLimited(guesses.find(({ status }) => status === 429) as Answer, 'too_many_attempts', 2)
  })

  await t.test('are those of the whole /64 of an IPv6 address', async () => {
    const limited = await Promise.all(
      range(1, 8).map((i) => login(client, 'other', 'guess', `2001:db8::${i}:1`)),
    )

    assert.ok(count(limited, 429) >= 1)
  })

  await t.test('leave other addresses alone', async () => {
    assert.equal((await login(client, 'ada', passwordOf('ada'), '2001:db8:0:1::1')).status, 200)
    assert.equal((await login(client, 'ada', passwordOf('ada'), '192.0.2.1')).status, 200)
  })
})

test('registrations from one address are limited', async (t) => {
  const client = new Client(await startServer(t, ON))
  const register = (name: string, address: string) =>
    client.post('/v1/register', { username: name, password: 'long enough' }, from(address))

  const answers = await Promise.all(
    range(1, REGISTRATIONS_FROM_ADDRESS + 5).map((i) => register(`name${i}`, '192.0.2.1')),
  )

  assert.ok(
    count(answers, 201) >= REGISTRATIONS_FROM_ADDRESS && count(answers, 429) >= 1,
    String(count(answers, 201)),
  )
  assertLimited(answers.find(({ status }) => status === 429) as Answer, 'too_many_attempts', 6)
  assert.equal((await register('another', '192.0.2.2')).status, 201)
})

test('what an account sends is limited, and nobody else is', async (t) => {
  const client = new Client(await startServer(t, ON))
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]

  // The clock stands still, so that nobody is allowed more meanwhile, however long this takes.
  stillClock(t)
  const answers = await Promise.all(range(1, SENDS + 50).map((i) => ada.send('grace', `message ${i}`)))

  assert.equal(count(answers, 201), SENDS)
  const limited = answers.filter(({ status }) => status !== 201)
  for (const answer of limited) assertLimited(answer, 'rate_limited', 1)
  assert.equal((await grace.send('ada', 'I may')).status, 201)
  const { body } = await grace.poll({ wait: 0, limit: 500 })
  assert.equal(body.messages.length, 500, 'what was accepted is there')
})

test('polls that show the same cursor again without waiting are limited, those that wait are not', async (t) => {
  const client = new Client(await startServer(t, ON))
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]

  const answers = await Promise.all(range(1, IDLE_POLLS + 20).map(() => ada.poll({ after: 0, wait: 0 })))

  assert.ok(count(answers, 429) >= 1, 'nothing was refused')
  assertLimited(answers.find(({ status }) => status === 429) as Answer, 'rate_limited', 1)
  const waiting = ada.poll({ after: 0, wait: 30 })
  await grace.send('ada', 'Worth the wait')
  assert.equal((await waiting).body.messages.length, 1)
  for (const after of range(1, IDLE_POLLS + 20)) {
    await grace.send('ada', 'Something new')
    assert.equal((await ada.poll({ after, wait: 0 })).status, 200, 'a cursor that moves on is no idle poll')
  }
})

test('RATE_LIMITS=off lets everything pass', async (t) => {
  const client = new Client(await startServer(t, { RATE_LIMITS: 'off' }))
  const ada = await client.join('ada')

  const answers = await Promise.all([
    ...range(1, PASSWORDS_FROM_ADDRESS + 5).map(() => client.login('ada', { password: 'guess' })),
    ...range(1, SENDS + 100).map(() => ada.send('ada', 'Hello')),
    ...range(1, IDLE_POLLS + 20).map(() => ada.poll({ after: 0, wait: 0 })),
  ])

  assert.equal(count(answers, 429), 0)
})

test('the address of a client is that of its connection', async (t) => {
  const guessAs = async (client: Client, address: (i: number) => string) => {
    const names = range(1, PASSWORDS_FROM_ADDRESS + 10)
    return count(await Promise.all(names.map((i) => login(client, `name${i}`, 'guess', address(i)))), 429)
  }

  await t.test('unless TRUST_PROXY says whose X-Forwarded-For is believed', async (t) => {
    const client = new Client(
      await startServer(t, { RATE_LIMITS: 'on', TRUST_PROXY: '127.0.0.1,10.0.0.0/8' }),
    )

    assert.equal(await guessAs(client, (i) => `192.0.2.${i}`), 0)
  })

  await t.test('whatever a stranger writes into the header', async (t) => {
    const client = new Client(await startServer(t, { RATE_LIMITS: 'on' }))

    assert.ok((await guessAs(client, (i) => `192.0.2.${i}`)) >= 1)
  })

  await t.test('whatever a stranger writes before what the proxy adds', async (t) => {
    const client = new Client(await startServer(t, ON))

    assert.ok((await guessAs(client, (i) => `192.0.2.${i}, 198.51.100.1`)) >= 1)
  })
})

test('a secret can be rotated', async (t) => {
  const [old, fresh] = ['the old secret that is long enough', 'the new secret that is long enough']
  const first = await startServer(t, { JWT_SECRET: old, SESSION_POLICY: 'multi' })
  const { token } = await new Client(first).join('ada')
  await first.stop()

  const second = await startServer(
    t,
    { JWT_SECRET: `${fresh}, ${old}`, SESSION_POLICY: 'multi' },
    first.database,
  )
  const client = new Client(second)
  const signedAfter = await client.enter('ada')

  await t.test('a token signed with the old one is good while it stands behind the new one', async () => {
    assert.equal((await client.get('/v1/users/ada', { token })).status, 200)
  })

  await t.test('new tokens are signed with the first one alone', async (t) => {
    const renewed = (await client.post('/v1/token', undefined, { token })).body.token
    await second.stop()
    const third = new Client(
      await startServer(t, { JWT_SECRET: fresh, SESSION_POLICY: 'multi' }, first.database),
    )

    assert.equal((await third.get('/v1/users/ada', { token: signedAfter.token })).status, 200)
    assert.equal((await third.get('/v1/users/ada', { token: renewed })).status, 200)
    const refused = await third.get('/v1/users/ada', { token })
    assert.deepEqual([refused.status, refused.body.code], [401, 'invalid_token'])
    assert.equal(claimsOf(renewed)['sid'], claimsOf(token)['sid'], 'a renewed token is of the same session')
  })
})

test('a token bucket', async (t) => {
  const START_MS = 1_000_000
  const bucketOf = (burst: number, everyMs: number) => new TokenBuckets({ burst, everyMs })

  await t.test('gives as many at once as its burst, then says how long to wait', () => {
    const buckets = bucketOf(3, 100)

    for (const _ of range(1, 3)) assert.equal(buckets.take('ada', START_MS), 0)
    assert.equal(buckets.take('ada', START_MS), 100)
    assert.equal(buckets.take('ada', START_MS + 40), 60)
  })

  await t.test('gives one more each time that its interval is over', () => {
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

  await t.test('is full again after a rest, and never more than full', () => {
    const buckets = bucketOf(3, 100)
    for (const _ of range(1, 3)) buckets.take('ada', START_MS)

    for (const _ of range(1, 3)) assert.equal(buckets.take('ada', START_MS + 1_000_000), 0)
    assert.ok(buckets.take('ada', START_MS + 1_000_000) > 0)
  })

  await t.test('takes back what did not count', () => {
    const buckets = bucketOf(2, 100)
    buckets.take('ada', START_MS)
    buckets.take('ada', START_MS)
    buckets.giveBack('ada')

    assert.equal(buckets.take('ada', START_MS), 0)
    assert.equal(buckets.take('ada', START_MS), 100)
  })

  await t.test('is never more than full by what is given back', () => {
    const buckets = bucketOf(2, 100)
    buckets.take('ada', START_MS)
    for (const _ of range(1, 5)) buckets.giveBack('ada')

    for (const _ of range(1, 2)) assert.equal(buckets.take('ada', START_MS), 0)
    assert.ok(buckets.take('ada', START_MS) > 0)
  })

  await t.test('is one for each key, and the number 1 is not the text "1"', () => {
    const buckets = bucketOf(1, 100)

    for (const key of ['ada', 'grace', 1, '1']) assert.equal(buckets.take(key, START_MS), 0, String(key))
    for (const key of ['ada', 'grace', 1, '1']) assert.equal(buckets.take(key, START_MS), 100, String(key))
  })

  await t.test('is remembered while it is busy, and the memory is bounded', () => {
    const buckets = bucketOf(1, 1_000_000)
    const idle = range(1, 99_999)
    for (const key of idle) buckets.take(key, START_MS - 2_000_000)
    buckets.take('busy', START_MS)

    // Full again are the idle ones: they make room, the busy one stays.
    for (const key of ['new', 'newer']) assert.equal(buckets.take(key, START_MS + 1), 0)
    assert.ok(buckets.take('busy', START_MS + 2) > 0)

    // All are busy: the one used least recently makes room, so that strangers cannot fill the memory.
    for (const key of idle) buckets.take(-key, START_MS + 3)
    assert.ok(buckets.take('busy', START_MS + 4) > 0, 'one that is refused is in use')
    for (const key of [...idle, 'one more']) buckets.take(key, START_MS + 5)
    assert.equal(buckets.take('busy', START_MS + 6), 0, 'it was kept beyond the bound')
  })
})

test('an attempt with a password', async (t) => {
  const ADDRESS = '192.0.2.1'
  const wrong = () => Promise.reject(new Problem('invalid_credentials', 'No.'))
  const guess = (
    limits: RateLimits,
    name: string,
    address = ADDRESS,
    tryPassword: () => Promise<unknown> = wrong,
  ) =>
    limits.attempt(name, address, tryPassword).then(
      () => 'right',
      (error: Problem) => error.code,
    )

  await t.test('is not made when there were too many', async (t) => {
    stillClock(t)
    const limits = new RateLimits(true)
    for (const _ of range(1, PASSWORDS_OF_NAME))
      assert.equal(await guess(limits, 'ada'), 'invalid_credentials')
    let made = false

    const code = await guess(limits, 'ada', ADDRESS, async () => {
      made = true
    })

    assert.deepEqual([code, made], ['too_many_attempts', false])
  })

  await t.test('is possible again as soon as Retry-After says', async (t) => {
    const clock = stillClock(t)
    const limits = new RateLimits(true)
    for (const _ of range(1, PASSWORDS_OF_NAME)) await guess(limits, 'ada')

    const refusal = await limits.attempt('ada', ADDRESS, wrong).catch((error: Problem) => error.extras)
    const { retryAfterSeconds = 0 } = refusal as { retryAfterSeconds?: number }
    clock.tick(retryAfterSeconds * 1_000 - 1)
    assert.equal(await guess(limits, 'ada'), 'too_many_attempts')
    clock.tick(1)
    assert.equal(await guess(limits, 'ada'), 'invalid_credentials')
  })

  await t.test('counts while it runs, so that guesses side by side do not slip through', async () => {
    const limits = new RateLimits(true)

    const codes = await Promise.all(range(1, 50).map(() => guess(limits, 'ada')))

    assert.equal(codes.filter((code) => code === 'invalid_credentials').length, PASSWORDS_OF_NAME)
  })

  await t.test('does not count when the fault was not the password', async () => {
    const limits = new RateLimits(true)
    const fails = () => Promise.reject(new Problem('overloaded', 'Not now.'))

    for (const _ of range(1, 100)) assert.equal(await guess(limits, 'ada', ADDRESS, fails), 'overloaded')
    assert.equal(await guess(limits, 'ada'), 'invalid_credentials')
  })

  await t.test('that was refused for the name does not count for the address', async (t) => {
    stillClock(t)
    const limits = new RateLimits(true)
    for (const _ of range(1, 1_000)) await guess(limits, 'ada')

    assert.equal(await guess(limits, 'grace'), 'invalid_credentials', 'one name locks out its whole address')
  })

  await t.test('that was refused for the address does not count for the name', async (t) => {
    stillClock(t)
    const limits = new RateLimits(true)
    for (const i of range(1, PASSWORDS_FROM_ADDRESS)) await guess(limits, `name${i}`)
    for (const _ of range(1, 100)) assert.equal(await guess(limits, 'ada'), 'too_many_attempts')

    assert.equal(await guess(limits, 'ada', '192.0.2.2'), 'invalid_credentials', 'strangers lock ada out')
  })
})

test('an address counts as its network does', async (t) => {
  const same = (...addresses: string[]) =>
    assert.equal(new Set(addresses.map(addressKey)).size, 1, String(addresses))
  const different = (...addresses: string[]) =>
    assert.equal(new Set(addresses.map(addressKey)).size, addresses.length, String(addresses))

  await t.test('an IPv4 address by itself', () => {
    different('192.0.2.1', '192.0.2.2', '127.0.0.1')
  })

  await t.test('an IPv6 address by the first 64 bits', () => {
    same('2001:db8:1:2::', '2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff:ffff:ffff:ffff')
    different('2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2:2::1', '2001:db9:1:2::1', '::1')
    same('2001:db8::1', '2001:db8:0:0:1::', '2001:db8:0:0:1:2:3:4')
    same('::1', '::2', '::')
  })

  await t.test('however it is written', () => {
    same('2001:db8:1:a::1', '2001:DB8:1:A::1', '2001:0db8:0001:000a:0000:0000:0000:0001')
    same('fe80::1', 'fe80::2%eth0')
  })

  await t.test('an IPv4 address inside IPv6 by itself', () => {
    same('192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1')
    different('::ffff:192.0.2.1', '::ffff:192.0.2.2')
  })
})
