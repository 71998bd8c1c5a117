/** The queue in front of the password hashes: many logins of a few addresses lock nobody out. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { hash, verify } from '@node-rs/argon2'
import { type Caller, PasswordQueue } from '../src/accounts/password-queue.ts'
import { Passwords } from '../src/accounts/passwords.ts'
import { readAddress } from '../src/limits/address.ts'
import type { Problem } from '../src/problems.ts'
import { range } from './support/range.ts'

/** The same as in src/accounts/password-queue.ts. */
const LINE_MAX = 128

class FakeClient extends EventEmitter {
  destroyed = false
  leave() {
    this.destroyed = true
    this.emit('close')
  }
}

function callerFrom(text: string, trusted = false, client = new FakeClient()): Caller {
  const address = readAddress(text)
  assert.ok(address)
  return { client, address, trusted }
}

/** A queue for one core, whose work ends when the test says so. */
function openLine() {
  const queue = new PasswordQueue(1)
  const begun: string[] = []
  const running: (() => void)[] = []
  const enter = (name: string, caller: Caller) =>
    queue
      .run(async () => {
        begun.push(name)
        await new Promise<void>((resolve) => running.push(resolve))
        return 'done'
      }, caller)
      .catch((error: Problem) => error.code)
  /** Ends the running work, so that the next one begins. */
  const finishOne = async () => {
    running.shift()?.()
    await setImmediate()
  }
  const finishAll = async () => {
    while (running.length > 0) await finishOne()
  }
  return { enter, begun, finishOne, finishAll }
}

describe('the queue in front of the password hashes', () => {
  it('runs one hash per core at a time', async () => {
    const queue = new PasswordQueue(2)
    const caller = callerFrom('192.0.2.1')
    let running = 0
    const most: number[] = []

    const work = async () => {
      most.push(++running)
      await setImmediate()
      running -= 1
    }
    await Promise.all(range(1, 20).map(() => queue.run(work, caller)))

    assert.equal(most.length, 20)
    assert.equal(Math.max(...most), 2)
  })

  it('continues after a failure', async () => {
    const queue = new PasswordQueue(1)
    const caller = callerFrom('192.0.2.1')

    const outcomes = await Promise.allSettled([
      queue.run(() => Promise.reject(new Error('no memory')), caller),
      queue.run(async () => 'right', caller),
    ])

    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    )
  })

  it('lets addresses take turns, however many wait at one', async () => {
    const { enter, begun, finishAll } = openLine()
    for (const i of range(1, 4)) void enter(`a${i}`, callerFrom('192.0.2.1'))
    for (const i of range(1, 2)) void enter(`b${i}`, callerFrom('192.0.2.2'))
    void enter('c1', callerFrom('192.0.2.3'))
    await finishAll()

    assert.deepEqual(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  })

  it('lets IPv6 networks take turns, however many addresses they have', async () => {
    const { enter, begun, finishAll } = openLine()
    for (const i of range(1, 4)) void enter(`a${i}`, callerFrom(`2001:db8:1:${i}::1`))
    void enter('b1', callerFrom('2001:db8:2::1'))
    await finishAll()

    assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3', 'a4'])
  })

  it('lets trusted callers and others take turns', async () => {
    const { enter, begun, finishAll } = openLine()
    for (const i of range(1, 4)) void enter(`a${i}`, callerFrom(`192.0.2.${i}`))
    for (const i of range(5, 6)) void enter(`t${i}`, callerFrom(`192.0.2.${i}`, true))
    await finishAll()

    assert.deepEqual(begun, ['a1', 't5', 'a2', 't6', 'a3', 'a4'])
  })

  it('when full, drops the newest entry of the address with the most', async () => {
    const { enter, finishAll } = openLine()
    void enter('running', callerFrom('192.0.2.9'))
    const [few, many] = [range(1, 28), range(1, 100)]
    const ofFew = few.map((i) => enter(`few${i}`, callerFrom('192.0.2.1')))
    const ofMany = many.map((i) => enter(`many${i}`, callerFrom('192.0.2.2')))

    const others = range(1, 14).map((i) => enter(`other${i}`, callerFrom(`198.51.100.${i}`)))
    const oneMore = enter('one more', callerFrom('192.0.2.2'))

    assert.equal(await oneMore, 'overloaded')
    assert.deepEqual(await Promise.all(ofMany.slice(-14)), Array(14).fill('overloaded'))
    await finishAll()
    const rest = await Promise.all([...others, ...ofFew, ...ofMany.slice(0, -14)])
    assert.deepEqual(rest, Array(LINE_MAX).fill('done'))
  })

  it('is not lengthened by more addresses than it has places', async () => {
    const { enter, finishAll } = openLine()
    void enter('running', callerFrom('192.0.2.9'))
    const first = range(1, LINE_MAX).map((i) => enter(`${i}`, callerFrom(`198.51.100.${i}`)))

    assert.equal(await enter('late', callerFrom('192.0.2.1')), 'overloaded')
    const network = await Promise.all(
      range(1, 300).map((i) => enter(`n${i}`, callerFrom(`2001:db8:1:${i.toString(16)}::1`))),
    )
    assert.deepEqual(network, Array(300).fill('overloaded'))
    await finishAll()
    assert.deepEqual(await Promise.all(first), Array(LINE_MAX).fill('done'))
  })

  it('has room for trusted callers while it is full of others', async () => {
    const { enter, begun, finishOne, finishAll } = openLine()
    void enter('running', callerFrom('192.0.2.9'))
    for (const i of range(1, 300)) void enter(`${i}`, callerFrom(`198.51.100.${i % 256}`))

    const owner = enter('owner', callerFrom('192.0.2.1', true))
    for (const _ of range(1, 2)) await finishOne()

    assert.ok(begun.includes('owner'), String(begun))
    await finishAll()
    assert.equal(await owner, 'done')
  })

  it('frees the place of a client that disconnects at once', async () => {
    const { enter, begun, finishAll } = openLine()
    void enter('running', callerFrom('192.0.2.9'))
    const clients = range(1, LINE_MAX).map(() => new FakeClient())
    const left = clients.map((client, i) => enter(`${i}`, callerFrom(`198.51.100.${i % 256}`, false, client)))
    for (const client of clients) client.leave()

    assert.deepEqual(await Promise.all(left), Array(LINE_MAX).fill('overloaded'))
    const next = range(1, LINE_MAX).map((i) => enter(`next${i}`, callerFrom('192.0.2.1')))
    await finishAll()
    assert.deepEqual(await Promise.all(next), Array(LINE_MAX).fill('done'))
    assert.equal(begun.length, LINE_MAX + 1, 'nothing was hashed for those that went')
    for (const client of clients) assert.equal(client.listenerCount('close'), 0)
  })

  it('does nothing for a client that has already disconnected', async () => {
    const { enter, begun } = openLine()
    const gone = new FakeClient()
    gone.leave()

    assert.equal(await enter('gone', callerFrom('192.0.2.1', false, gone)), 'overloaded')
    assert.deepEqual(begun, [])
  })
})

describe('a password whose client disconnects during the check', () => {
  it('counts when it is wrong, and is refused when it is right', async () => {
    const passwords = new Passwords({ memoryCost: 8, timeCost: 1, parallelism: 1 })
    const known = await passwords.hash('right', callerFrom('192.0.2.1'))
    const check = (password: string) => {
      const client = new FakeClient()
      const checking = passwords.matches(password, known, callerFrom('192.0.2.1', false, client))
      client.leave()
      return checking
    }

    assert.equal(await check('wrong'), false)
    await assert.rejects(check('right'), { code: 'invalid_request' })
  })
})

describe('the hash of a password', () => {
  const COST = { memoryCost: 8, timeCost: 1, parallelism: 1 }
  const [composed, decomposed] = ['Zo\u00eb’s password', 'Zoe\u0308’s password']
  const caller = callerFrom('192.0.2.1')

  it('is that of its composed form, and an older one is valid for what was typed', async () => {
    const passwords = new Passwords(COST)
    const [ofComposed, ofDecomposed] = [await hash(composed, COST), await hash(decomposed, COST)]

    assert.ok(await verify(await passwords.hash(decomposed, caller), composed))
    for (const typed of [composed, decomposed]) assert.ok(await passwords.matches(typed, ofComposed, caller))
    assert.ok(await passwords.matches(decomposed, ofDecomposed, caller))
    for (const known of [ofComposed, ofDecomposed, undefined])
      assert.equal(await passwords.matches('Zoe\u0301’s password', known, caller), false)
  })
})
