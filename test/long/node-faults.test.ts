/** Longer than test/node-faults.test.ts, and with other decisions every time. */
import { itKeepsEveryPromise } from '../faults/promises.ts'

itKeepsEveryPromise({ minutes: 1, seed: Date.now() % 2 ** 31 })
