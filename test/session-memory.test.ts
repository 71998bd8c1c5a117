/** The caches of sessions and application tokens are bounded, and keep used entries. */
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { ApplicationTokens } from '../src/accounts/application-tokens.ts'
import { Sessions } from '../src/accounts/sessions.ts'
import { Tokens } from '../src/accounts/tokens.ts'
import { range } from './support/range.ts'
import { forgedApplicationToken } from './support/tokens.ts'

const REMEMBERED_MAX = 100_000

/** The token is the id of the session. */
class IdsAsTokens extends Tokens {
  override verify(sid: string) {
    return { sub: 'ada', sid, exp: Number.MAX_SAFE_INTEGER }
  }
}

test('sessions in memory', async (t) => {
  const reads = new Map<string, number>()
  const database: ConstructorParameters<typeof Sessions>[0] = {
    findSession: async (id) => {
      reads.set(id, (reads.get(id) ?? 0) + 1)
      const times = { createdAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER }
      return { id, accountId: 1, username: 'ada', acknowledgedSeq: 0, offeredSeq: 0, ...times }
    },
    openSession: () => assert.fail('nobody logs in'),
    extendSession: () => assert.fail('nobody renews'),
    endSession: () => assert.fail('nobody logs out'),
  }
  const tokens = new IdsAsTokens(
    {} as never,
    [],
    { tokenTtlMs: 1, sessionMaxMs: Number.MAX_SAFE_INTEGER },
    Date.now,
  )
  const presence = { isOnline: async () => false, endSession: () => {} }
  const mailboxes = { endSession: () => {} }
  const rules = { sessionPolicy: 'multi' } as const
  const sessions = new Sessions(database, tokens, presence, mailboxes, rules, Date.now)
  const session = async (id: string) => (await sessions.identify(id)).session

  await t.test('stay while they are used, and are read once, however many others arrive', async () => {
    const used = await session('used')
    for (const n of range(1, REMEMBERED_MAX + 1)) {
      await session(`stranger ${n}`)
      if (n % (REMEMBERED_MAX / 2) === 0) assert.equal(await session('used'), used)
    }
    assert.deepEqual([reads.get('used'), used.evicted], [1, false])
  })

  await t.test(
    'are evicted when they were used least recently, and read again when they are used again',
    async () => {
      assert.equal(reads.get('stranger 1'), 1)
      const first = await session('stranger 1')
      assert.equal(reads.get('stranger 1'), 2)

      for (const n of range(1, REMEMBERED_MAX)) await session(`newcomer ${n}`)

      assert.equal(first.evicted, true)
      assert.notEqual(await session('stranger 1'), first)
    },
  )

  await t.test('are one object each, also for concurrent requests', async () => {
    const [one, other] = await Promise.all([session('twice'), session('twice')])
    assert.equal(one, other)
    assert.equal(reads.get('twice'), 1)
  })
})

describe('application tokens in memory', () => {
  const owner = { accountId: 1, username: 'ada' }
  const address = () => ({ key: '127.0.0.1', network: undefined })
  const setUp = (lease?: { holds: boolean }) => {
    const looked: string[] = []
    const state = { onFind: async () => {}, looked, found: true, uses: 0 }
    const database: ConstructorParameters<typeof ApplicationTokens>[0] = {
      createToken: async () => 'created',
      listTokens: async () => [],
      revokeToken: async () => true,
      noteTokenUse: async () => {
        state.uses += 1
      },
      findToken: async (hash) => {
        const id = Buffer.from(hash).toString('hex')
        looked.push(id)
        const found = state.found
        await state.onFind()
        return found ? { ...owner, id, expiresAtMs: undefined, lastUsedAtMs: undefined } : undefined
      },
    }
    const limits = { findToken: <T>(_: unknown, find: () => Promise<T>) => find() }
    return Object.assign(state, { tokens: new ApplicationTokens(database, limits, Date.now, lease) })
  }

  it('are looked up once, and their use is written once', async () => {
    const state = setUp()
    for (const _ of range(1, 100)) await state.tokens.identify(forgedApplicationToken(), address)
    assert.deepEqual([state.looked.length, state.uses], [1, 1])
  })

  it('are not looked up when they are truncated, mistyped or in another case', async () => {
    const { tokens, looked } = setUp()
    const good = forgedApplicationToken(10)
    const typos = [good.slice(0, -1), `${good}0`, good.replace('a', 'b'), good.toUpperCase(), 'rst_', '']
    for (const typo of typos)
      await assert.rejects(async () => tokens.identify(typo, address), /is unknown or revoked/)
    assert.deepEqual(looked, [])
  })

  it('are not cached when they are revoked during the look-up', async () => {
    const state = setUp()
    state.onFind = async () => {
      state.found = false
      state.tokens.forget([])
    }
    await state.tokens.identify(forgedApplicationToken(), address)
    await assert.rejects(async () => state.tokens.identify(forgedApplicationToken(), address), /revoked/)
  })

  it('are not trusted while notifications are lost; the least recently used are evicted', async () => {
    const lease = { holds: false }
    const { tokens, looked } = setUp(lease)
    for (const _ of range(1, 3)) await tokens.identify(forgedApplicationToken(), address)
    assert.equal(looked.length, 3)
    lease.holds = true
    for (const n of range(1, 10_001)) await tokens.identify(forgedApplicationToken(n), address)
    await tokens.identify(forgedApplicationToken(10_001), address)
    assert.equal(looked.length, 3 + 10_001)
    await tokens.identify(forgedApplicationToken(1), address)
    assert.equal(looked.length, 3 + 10_002)
  })
})
