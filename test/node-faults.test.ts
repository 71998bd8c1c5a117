/**
 * Several nodes over one PostgreSQL while processes, the database and the ways between them fail: what was
 * accepted is there once, everybody receives it in order and in time, and no session outlives its end.
 *
 * `FAULTS_MINUTES=10` runs for longer, `FAULTS_SEED=…` takes the same decisions again.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { report } from './faults/report.ts'
import { runFaults } from './faults/suite.ts'

const MINUTES = Number(process.env['FAULTS_MINUTES'] ?? 2)
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 2 ** 31)

it(`nodes and their database fail for ${MINUTES} minutes, and every promise is kept`, async (t) => {
  t.diagnostic(`FAULTS_SEED=${SEED} FAULTS_MINUTES=${MINUTES}`)
  const verdict = await runFaults(t, MINUTES, SEED)
  t.diagnostic(report(verdict))
  assert.equal(verdict.violations.length, 0, report(verdict))
})
