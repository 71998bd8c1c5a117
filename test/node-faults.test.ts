/** The short form: its decisions are the same every time, and ten seconds have some of every kind. */
import { itKeepsEveryPromise } from './faults/promises.ts'

itKeepsEveryPromise({ minutes: 1 / 6, seed: 182 })
