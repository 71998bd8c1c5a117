/** What is kept in memory of sessions is bounded, and what is in use stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sessions } from '../src/accounts/sessions.ts'
import { Tokens } from '../src/accounts/tokens.ts'
import { range } from './support/client.ts'

const REMEMBERED_MAX = 100_000

/** A token is the id of its session. */
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
  const rules = { sessionPolicy: 'multi' } as const
  const sessions = new Sessions(database, tokens, presence, rules, Date.now)
  const session = async (id: string) => (await sessions.identify(id)).session

  await t.test('stay while they are used, and are read once, however many others come', async () => {
    const used = await session('used')
    for (const n of range(1, 2 * REMEMBERED_MAX)) {
      await session(`stranger ${n}`)
      if (n % 50_000 === 0) assert.equal(await session('used'), used)
    }
    assert.deepEqual([reads.get('used'), used.forgotten], [1, false])
  })

  await t.test(
    'make room when they were used least recently, and are read again when they come back',
    async () => {
      assert.equal(reads.get('stranger 1'), 1)
      const first = await session('stranger 1')
      assert.equal(reads.get('stranger 1'), 2)

      for (const n of range(1, REMEMBERED_MAX)) await session(`newcomer ${n}`)

      assert.equal(first.forgotten, true)
      assert.notEqual(await session('stranger 1'), first)
    },
  )

  await t.test('are one object each, also for requests that come while it is read', async () => {
    const [one, other] = await Promise.all([session('twice'), session('twice')])
    assert.equal(one, other)
    assert.equal(reads.get('twice'), 1)
  })
})
