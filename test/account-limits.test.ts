/** Limits on password attempts, and the effect of guesses on others. The clock is stopped. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { AccountLimits } from '../src/limits/account-limits.ts'
import { type Address, readAddress } from '../src/limits/address.ts'
import { Problem } from '../src/problems.ts'
import { stillClock } from './support/clocks.ts'
import { range } from './support/range.ts'

/** The same as in src/limits/account-limits.ts. */
const OF_PAIR = { burst: 10, everySeconds: 300 }
const OF_NAME = { burst: 1_000, everySeconds: 2 }
const FROM_ADDRESS = { burst: 60, everySeconds: 2, debtSeconds: 60 }
const RIGHT_OF_ACCOUNT = { burst: 100, everySeconds: 10 }
const RIGHT_FROM_ADDRESS = 5_000
const REGISTRATIONS = { burst: 20, everySeconds: 360 }
const TAKEN_NAMES = { burst: 100, everySeconds: 60 }
const INVALID_INVITES = { burst: 100 }
const NETWORK_FACTOR = 10
/** The same as in src/limits/token-buckets.ts. */
const UNDER_WAY_SECONDS = 2

const ADDRESS = '192.0.2.1'

const at = (text: string): Address => readAddress(text) ?? assert.fail(text)
const wrong = (code: 'invalid_credentials' | 'wrong_password' | 'overloaded' = 'invalid_credentials') =>
  Promise.reject(new Problem(code, 'No.'))

/** `tried` if the password was checked, otherwise the seconds until it may be. */
async function outcomeOf(attempt: Promise<unknown>): Promise<'tried' | number> {
  try {
    await attempt
  } catch (error) {
    const { code, extras } = error as Problem
    if (code === 'too_many_attempts') return extras.retryAfterSeconds ?? assert.fail('no Retry-After')
  }
  return 'tried'
}

describe('an attempt with a password', () => {
  let limits: AccountLimits
  beforeEach(() => {
    limits = new AccountLimits(true)
  })

  const login = (name: string, address: string, known: boolean, tryPassword: () => Promise<unknown>) =>
    outcomeOf(limits.login(name, at(address), async () => ({ known }), tryPassword))
  const guess = (name: string, address = ADDRESS, known = false) => login(name, address, known, () => wrong())
  const enter = (name: string, address = ADDRESS, known = false) =>
    login(name, address, known, async () => 'right')
  const confirm = (session: string, name: string, tryPassword: () => Promise<unknown>) =>
    outcomeOf(limits.confirm({ id: session, username: name }, tryPassword))

  /** Guesses until a guess is refused. Resolves with the number of checked guesses. */
  async function guessesOf(name: (i: number) => string, address: (i: number) => string): Promise<number> {
    let tried = 0
    for (const i of range(1, 3_000)) if ((await guess(name(i), address(i))) === 'tried') tried += 1
    return tried
  }

  it('is allowed ten times for a name at an address, and then after Retry-After', async (t) => {
    const clock = stillClock(t)
    for (const _ of range(1, OF_PAIR.burst)) assert.equal(await guess('ada'), 'tried')

    assert.equal(await guess('ada'), OF_PAIR.everySeconds)
    clock.tick(OF_PAIR.everySeconds * 1_000 - 1)
    assert.equal(await guess('ada'), 1)
    clock.tick(1)
    assert.equal(await guess('ada'), 'tried')
  })

  it('does not limit the name at other addresses, or the address for other names', async (t) => {
    stillClock(t)
    for (const _ of range(1, OF_PAIR.burst + 5)) await guess('ada')

    assert.equal(await enter('ada', '192.0.2.2'), 'tried')
    assert.equal(await enter('grace'), 'tried')
  })

  it('is refused at an address that has guessed at many names', async (t) => {
    stillClock(t)
    const tried = await guessesOf(
      (i) => `name${i}`,
      () => ADDRESS,
    )

    assert.equal(tried, FROM_ADDRESS.burst)
    assert.equal(await enter('ada', '192.0.2.2'), 'tried')
  })

  it('counts when it is refused, so that going on gains nothing', async (t) => {
    const clock = stillClock(t)
    for (const i of range(1, FROM_ADDRESS.burst)) await guess(`name${i}`)

    assert.equal(await guess('ada'), 2 * FROM_ADDRESS.everySeconds)
    assert.equal(await guess('ada'), 3 * FROM_ADDRESS.everySeconds)
    for (const i of range(1, 600)) {
      clock.tick(1_000)
      assert.notEqual(await guess(`other${i}`), 'tried', `after ${i} s`)
    }
  })

  it('is possible a minute after the guessing stops, as Retry-After says', async (t) => {
    const clock = stillClock(t)
    for (const i of range(1, 10_000)) await guess(`name${i}`)

    const seconds = await guess('ada')
    assert.equal(seconds, FROM_ADDRESS.debtSeconds + FROM_ADDRESS.everySeconds)
    clock.tick(seconds * 1_000)
    assert.equal(await enter('ada'), 'tried')
  })

  it('is possible for others at an address where an app repeats its old password for hours', async (t) => {
    const clock = stillClock(t)
    for (const i of range(1, 7_200)) {
      await guess('grace')
      clock.tick(1_000)
      if (i % 600 === 0) assert.equal(await enter('ada'), 'tried', `after ${i} s`)
    }
  })

  it('is possible at a known address, even while guesses from it continue', async (t) => {
    stillClock(t)
    for (const i of range(1, 5_000)) await guess(`name${i}`)

    assert.notEqual(await enter('ada'), 'tried')
    assert.equal(await enter('ada', ADDRESS, true), 'tried')
  })

  it('is possible for the owner while fifty addresses guess, at a known address and at a new one', async (t) => {
    stillClock(t)
    for (const i of range(1, 50)) for (const _ of range(1, 100)) await guess('ada', `198.51.100.${i}`)

    assert.equal(await enter('ada', '192.0.2.1', true), 'tried')
    assert.equal(await enter('ada', '192.0.2.2'), 'tried')
  })

  it('is allowed a thousand times for a name from all addresses, which does not limit known addresses', async (t) => {
    const clock = stillClock(t)
    const tried = await guessesOf(
      () => 'ada',
      (i) => `198.51.${Math.floor(i / 256)}.${i % 256}`,
    )

    assert.equal(tried, OF_NAME.burst)
    assert.equal(await enter('ada', '192.0.2.2'), OF_NAME.everySeconds)
    assert.equal(await enter('ada', '192.0.2.1', true), 'tried')
    clock.tick(OF_NAME.everySeconds * 1_000)
    assert.equal(await enter('ada', '192.0.2.2'), 'tried')
  })

  it('is allowed ten times as often from an IPv6 network, however many addresses it uses', async (t) => {
    stillClock(t)
    const of = (i: number) => `2001:db8:1:${i.toString(16)}::1`
    const atOne = await guessesOf(() => 'ada', of)
    assert.equal(atOne, OF_PAIR.burst * NETWORK_FACTOR)

    limits = new AccountLimits(true)
    const atMany = await guessesOf((i) => `name${i}`, of)
    assert.equal(atMany, FROM_ADDRESS.burst * NETWORK_FACTOR)
    assert.equal(await enter('ada', '2001:db8:1:ffff::1', true), 'tried', 'one that is known')
    assert.equal(await enter('ada', '2001:db8:2::1'), 'tried', 'another network')
  })

  it('is limited at a known address, too', async (t) => {
    stillClock(t)
    for (const _ of range(1, OF_PAIR.burst)) assert.equal(await guess('ada', ADDRESS, true), 'tried')

    assert.equal(await guess('ada', ADDRESS, true), OF_PAIR.everySeconds)
  })

  it('counts while it runs, so that concurrent guesses do not slip through', async (t) => {
    stillClock(t)

    const outcomes = await Promise.all(range(1, 50).map(() => guess('ada')))

    assert.equal(outcomes.filter((outcome) => outcome === 'tried').length, OF_PAIR.burst)
  })

  it('that is right waits 2 s while sixty are running at its address, and this does not count', async (t) => {
    stillClock(t)
    const whole = range(1, 200)
    const [first, again] = [await Promise.all(whole.map((i) => enter(`name${i}`))), [] as unknown[]]
    for (const i of whole) if (first[i - 1] !== 'tried') again.push(await enter(`name${i}`))

    assert.deepEqual(new Set(first), new Set(['tried', UNDER_WAY_SECONDS]))
    assert.equal(first.filter((outcome) => outcome === 'tried').length, FROM_ADDRESS.burst)
    assert.deepEqual(again, Array(200 - FROM_ADDRESS.burst).fill('tried'))
  })

  it('looks up whether its address is known only if that matters', async (t) => {
    stillClock(t)
    let asked = 0
    const ask = async () => {
      asked += 1
      return { known: false }
    }
    for (const _ of range(1, OF_PAIR.burst + 100))
      await outcomeOf(limits.login('ada', at(ADDRESS), ask, () => wrong()))

    assert.equal(asked, OF_PAIR.burst)
  })

  it('that is wrong at a known address delays no other account there', async (t) => {
    stillClock(t)
    for (const i of range(1, 100)) assert.equal(await guess(`name${i}`, ADDRESS, true), 'tried')

    assert.equal(await enter('ada'), 'tried')
  })

  it('does not count when the fault was not the password', async () => {
    for (const _ of range(1, 200)) await login('ada', ADDRESS, false, () => wrong('overloaded'))

    assert.equal(await guess('ada'), 'tried')
  })

  it('that is right counts little: a hundred at once for an account, and then one every ten seconds', async (t) => {
    const clock = stillClock(t)
    for (const _ of range(1, RIGHT_OF_ACCOUNT.burst)) assert.equal(await enter('ada'), 'tried')

    assert.equal(await enter('ada', '192.0.2.2', true), RIGHT_OF_ACCOUNT.everySeconds)
    assert.equal(await enter('grace'), 'tried')
    clock.tick(RIGHT_OF_ACCOUNT.everySeconds * 1_000)
    assert.equal(await enter('ada'), 'tried')
  })

  it('that is right counts for its address, whatever the accounts', async (t) => {
    stillClock(t)
    for (const i of range(1, RIGHT_FROM_ADDRESS)) assert.equal(await enter(`name${i}`), 'tried')

    assert.equal(await enter('ada'), 1)
    assert.equal(await enter('ada', '192.0.2.2'), 'tried')
  })

  it('to confirm counts separately: guesses of strangers do not block the owner, nor hers a login', async (t) => {
    stillClock(t)
    await guessesOf(
      () => 'ada',
      (i) => `198.51.${Math.floor(i / 256)}.${i % 256}`,
    )
    assert.equal(await confirm('phone', 'ada', async () => 'right'), 'tried')

    for (const _ of range(1, OF_PAIR.burst))
      assert.equal(await confirm('phone', 'ada', () => wrong('wrong_password')), 'tried')
    assert.equal(await confirm('phone', 'ada', () => wrong('wrong_password')), OF_PAIR.everySeconds)
    assert.equal(await confirm('tablet', 'ada', async () => 'right'), 'tried', 'another session')
    assert.equal(await enter('ada', ADDRESS, true), 'tried')
  })

  it('to confirm that is right counts little, and separately from logins', async (t) => {
    stillClock(t)
    for (const i of range(1, RIGHT_OF_ACCOUNT.burst))
      assert.equal(await confirm(`session ${i}`, 'ada', async () => 'right'), 'tried')

    assert.equal(await confirm('phone', 'ada', async () => 'right'), RIGHT_OF_ACCOUNT.everySeconds)
    assert.equal(await enter('ada'), 'tried')
  })

  it('is never refused with RATE_LIMITS=off', async () => {
    limits = new AccountLimits(false)

    for (const _ of range(1, 2_000)) assert.equal(await guess('ada'), 'tried')
    for (const _ of range(1, 100)) await limits.register(at(ADDRESS), async () => {})
  })
})

describe('registrations from one address', () => {
  const register = (limits: AccountLimits, address: string, make: () => Promise<unknown> = async () => {}) =>
    outcomeOf(limits.register(at(address), make))

  it('are limited to twenty at once, then ten per hour; ten times as many from an IPv6 network', async (t) => {
    const clock = stillClock(t)
    const limits = new AccountLimits(true)
    for (const _ of range(1, REGISTRATIONS.burst)) assert.equal(await register(limits, ADDRESS), 'tried')

    assert.equal(await register(limits, ADDRESS), REGISTRATIONS.everySeconds)
    assert.equal(await register(limits, '192.0.2.2'), 'tried')
    clock.tick(3_600_000)
    const inAnHour = await Promise.all(range(1, 15).map(() => register(limits, ADDRESS)))
    assert.equal(inAnHour.filter((outcome) => outcome === 'tried').length, 10)

    const outcomes = await Promise.all(
      range(1, 300).map((i) => register(limits, `2001:db8:1:${i.toString(16)}::1`)),
    )
    assert.equal(
      outcomes.filter((outcome) => outcome === 'tried').length,
      REGISTRATIONS.burst * NETWORK_FACTOR,
    )
  })

  it('with a valid invite count only when the name is taken, and in an allowance of their own', async (t) => {
    stillClock(t)
    const limits = new AccountLimits(true)
    const invited = (make: () => Promise<unknown>) => outcomeOf(limits.registerInvited(at(ADDRESS), make))
    const taken = () => Promise.reject(new Problem('username_taken', 'No.'))
    for (const _ of range(1, REGISTRATIONS.burst)) await register(limits, ADDRESS)

    for (const _ of range(1, 1_000)) assert.equal(await invited(async () => {}), 'tried')
    for (const _ of range(1, TAKEN_NAMES.burst)) assert.equal(await invited(taken), 'tried')
    assert.equal(await invited(taken), TAKEN_NAMES.everySeconds)
  })

  it('with an invalid invite are limited by address', async (t) => {
    const clock = stillClock(t)
    const limits = new AccountLimits(true)
    let lookUps = 0
    const look = (valid: boolean, address = ADDRESS) =>
      outcomeOf(
        limits.findInvite(at(address), async () => {
          lookUps += 1
          return valid
        }),
      )
    for (const _ of range(1, 1_000)) assert.equal(await look(true), 'tried')

    for (const _ of range(1, INVALID_INVITES.burst)) assert.equal(await look(false), 'tried')
    lookUps = 0
    assert.equal(await look(true), 1)
    assert.equal(lookUps, 0)
    assert.equal(await look(true, '192.0.2.2'), 'tried')
    clock.tick(1_000)
    assert.equal(await look(true), 'tried')
  })

  it('count only when the account was made, or its name is taken', async (t) => {
    stillClock(t)
    const limits = new AccountLimits(true)
    const fail = (code: 'overloaded' | 'invalid_request' | 'username_taken') => () =>
      Promise.reject(new Problem(code, 'No.'))
    for (const _ of range(1, 100)) {
      await register(limits, ADDRESS, fail('overloaded'))
      await register(limits, ADDRESS, fail('invalid_request'))
    }

    for (const _ of range(1, REGISTRATIONS.burst))
      assert.equal(await register(limits, ADDRESS, fail('username_taken')), 'tried')
    assert.equal(await register(limits, ADDRESS), REGISTRATIONS.everySeconds)
  })
})
