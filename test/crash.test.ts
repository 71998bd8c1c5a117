/** The short form, which takes the same decisions every time; test/long has another. */
import { describeCrashes } from './crash/crashes.ts'

describeCrashes({ rounds: 2, seed: 1 })
