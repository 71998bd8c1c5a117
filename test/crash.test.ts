/** The short form with a fixed seed; test/long has the long form. */
import { describeCrashes } from './crash/crashes.ts'

describeCrashes({ rounds: 1, seed: 1 })
