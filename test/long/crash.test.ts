/** More rounds than test/crash.test.ts has, and other ones every time. */
import { describeCrashes } from '../crash/crashes.ts'

describeCrashes({ rounds: 15, seed: Date.now() % 2 ** 31 })
