/** One round on SQLite with a fixed seed; test/long/crashes.test.ts has many on both databases. */
import { describeCrashes } from './crash/crashes.ts'

describeCrashes({ rounds: 1, seed: 1 }, false)
