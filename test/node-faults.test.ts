/** The short form with a fixed seed, which has every kind of fault within ten seconds. */
import { itKeepsEveryPromise } from './faults/promises.ts'

itKeepsEveryPromise({ minutes: 1 / 6, seed: 182 })
