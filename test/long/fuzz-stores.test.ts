/** Twenty times as much as test/fuzz.test.ts, on both databases. FUZZ_SEED sets the first seed. */
import { describe, it } from 'node:test'
import { fuzz, seedOfRun } from '../fuzz/fuzz.ts'
import { range } from '../support/client.ts'

const RUNS = 10
const REQUESTS = 10_000

describe('any request gets an answer of the contract, no 5xx, and leaves the store consistent', () => {
  const first = seedOfRun(Date.now() % 2 ** 31)
  for (const seed of range(first, first + RUNS - 1)) {
    it(`${REQUESTS} requests of FUZZ_SEED=${seed}`, async (t) => {
      await fuzz(t, seed, REQUESTS)
    })
  }
})
