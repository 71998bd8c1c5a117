/** Longer than test/node-faults.test.ts, with random seeds. */
import { itKeepsEveryPromise } from '../faults/promises.ts'

itKeepsEveryPromise({ minutes: 1, seed: Date.now() % 2 ** 31 })
