/** Twenty times what test/fuzz.test.ts has, and on both databases. FUZZ_SEED gives the first seed. */
import { describe, it } from 'node:test'
import { fuzz, seedOfRun } from '../fuzz/fuzz.ts'
import { range } from '../support/client.ts'

const RUNS = 10
const REQUESTS = 10_000

describe('whatever is sent, the answer is in the contract, is no 5xx, and leaves the store consistent', () => {
  const first = seedOfRun(Date.now() % 2 ** 31)
  for (const seed of range(first, first + RUNS - 1)) {
    it(`${REQUESTS} requests of FUZZ_SEED=${seed}`, async (t) => {
      await fuzz(t, seed, REQUESTS)
    })
  }
})
