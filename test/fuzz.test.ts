import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz, seedOfRun } from './fuzz/fuzz.ts'

const seed = seedOfRun(182)

test('any request gets an answer of the contract, no 5xx, and leaves the store consistent', async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const { answers } = await fuzz(t, seed, 5_000)

  const counts = new Map<string, number>()
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1)
  t.diagnostic(
    [...counts]
      .map(([answer, count]) => `${answer}: ${count}`)
      .sort()
      .join(', '),
  )
})

test('the same seed sends the same requests', async (t) => {
  // An odd seed: with sessions side by side.
  const [one, other] = [await fuzz(t, seed + 1, 150), await fuzz(t, seed + 1, 150)]
  assert.deepEqual(one.answers, other.answers)
})
