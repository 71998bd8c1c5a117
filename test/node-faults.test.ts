/** The short form: its decisions are the same every time, and twenty seconds have some of every kind. */
import { itKeepsEveryPromise } from './faults/promises.ts'

itKeepsEveryPromise({ minutes: 1 / 3, seed: 182 })
