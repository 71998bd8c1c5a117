/** The short form: its decisions are the same every time, and half a minute has some of every kind. */
import { itKeepsEveryPromise } from './faults/promises.ts'

itKeepsEveryPromise({ minutes: 0.5, seed: 182 })
