/** The short form, which takes the same decisions every time; test/long has another. */
import { describeCrashes } from './crash/crashes.ts'

describeCrashes({ rounds: 1, seed: 1 })
