import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { withConnection } from '../support/connection.ts'
import { inTurn, rowOf, type Scenario } from '../support/measure.ts'
import { startServer } from '../support/processes.ts'
import { getText } from '../support/requests.ts'

/** From the start of the process to the first 200 of /readyz. */
export const start: Scenario = async (bench) => {
  const migrated = join(bench.folder, 'start.db')
  await startToReady(migrated)
  let empty = 0
  const measured = await inTurn(bench.rounds * 2, {
    empty: () => {
      empty += 1
      return startToReady(join(bench.folder, `start-${empty}.db`))
    },
    migrated: () => startToReady(migrated),
    nothing: async () => {
      const startedAt = performance.now()
      await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
      return performance.now() - startedAt
    },
  })
  const described = { floorIs: 'node -e 0', unit: 'ms', target: { absolute: 1_000 } } as const
  return [
    rowOf({ what: 'start to ready, no database yet', ...described }, measured.empty, measured.nothing),
    rowOf({ what: 'start to ready, migrated database', ...described }, measured.migrated, measured.nothing),
  ]
}

async function startToReady(file: string): Promise<number> {
  const startedAt = performance.now()
  const server = await startServer(file)
  await withConnection(server.url, (connection) => connection.expect(200, getText('/readyz')))
  const took = performance.now() - startedAt
  await server.stop()
  return took
}
