/**
 * More rounds than test/crash.test.ts, with random seeds and killed first starts, and the threads that
 * test/sqlite-file.test.ts omits.
 */
import { describeCrashes } from '../crash/crashes.ts'
import { describeEndedThreads } from '../crash/ended-threads.ts'
import { onPostgres } from '../support/databases.ts'

describeCrashes({ rounds: 15, seed: Date.now() % 2 ** 31 }, true)

if (!onPostgres) describeEndedThreads({ atStart: ['reader'], running: ['writer', 'checkpoints'] })
