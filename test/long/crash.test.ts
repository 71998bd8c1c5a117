/** More rounds than test/crash.test.ts, with random seeds. */
import { describeCrashes } from '../crash/crashes.ts'

describeCrashes({ rounds: 15, seed: Date.now() % 2 ** 31 })
