/**
 * Several nodes on one PostgreSQL while processes, the database and the connections between them fail:
 * accepted messages are stored once, recipients get them in order and in time, and no session outlives its
 * end.
 *
 * `FAULTS_MINUTES=10` runs for longer, `FAULTS_SEED=…` repeats the decisions of a run.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { report } from '../faults/report.ts'
import { runFaults } from '../faults/suite.ts'

const ENDED_TRIED = 'requests with the token of an ended session'
const minutes = Number(process.env['FAULTS_MINUTES'] ?? 1)
const seed = Number(process.env['FAULTS_SEED'] ?? Date.now() % 2 ** 31)

it(`while nodes and their database fail for ${Math.round(60 * minutes)} s, every promise is kept`, async (t) => {
  t.diagnostic(`FAULTS_SEED=${seed} FAULTS_MINUTES=${minutes}`)
  const verdict = await runFaults(t, minutes, seed)
  t.diagnostic(report(verdict))
  assert.equal(verdict.violations.length, 0, report(verdict))
  // If nothing happens, no promise can break.
  assert.ok(verdict.faults.size > 0, 'Nothing was broken.')
  for (const what of ['messages accepted', 'messages received', 'receipts', ENDED_TRIED])
    assert.ok((verdict.figures[what] ?? 0) > 0, `${what}: none`)
})
