import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Bench, Scenario } from '../support/bench.ts'
import { Connection, expectStatus } from '../support/connection.ts'
import { getText } from '../support/requests.ts'
import { inTurn, rowOf } from '../support/rows.ts'

const TARGET_MS = 1_000

/** From the start of the process to the first 200 of /readyz. */
export const start: Scenario = async (bench) => {
  const migrated = join(bench.folder, 'start.db')
  await startToReady(bench, migrated)
  let empty = 0
  const measured = await inTurn(bench.rounds * 2, {
    empty: () => {
      empty += 1
      return startToReady(bench, join(bench.folder, `start-${empty}.db`))
    },
    migrated: () => startToReady(bench, migrated),
    nothing,
  })
  const described = { floorIs: 'node -e 0', unit: 'ms', better: 'less' } as const
  return {
    rows: [
      rowOf(
        { what: 'start to ready, no database yet', ...described, target: { absolute: TARGET_MS } },
        measured.empty,
        measured.nothing,
      ),
      rowOf(
        { what: 'start to ready, migrated database', ...described, target: { absolute: TARGET_MS } },
        measured.migrated,
        measured.nothing,
      ),
    ],
  }
}

async function startToReady({ processes }: Bench, file: string): Promise<number> {
  const startedAt = performance.now()
  const server = await processes.server(file)
  const connection = await Connection.open(server.url)
  const answer = await connection.request(getText('/readyz'))
  const took = performance.now() - startedAt
  expectStatus(answer, 200)
  connection.close()
  await server.stop()
  return took
}

async function nothing(): Promise<number> {
  const startedAt = performance.now()
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  return performance.now() - startedAt
}
