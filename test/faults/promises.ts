/**
 * Several nodes over one PostgreSQL while processes, the database and the ways between them fail: what was
 * accepted is there once, everybody receives it in order and in time, and no session outlives its end.
 *
 * `FAULTS_MINUTES=10` runs for longer, `FAULTS_SEED=…` takes the same decisions again.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { report } from './report.ts'
import { runFaults } from './suite.ts'

const ENDED_TRIED = 'requests with the token of a session that had ended'

/** @param usual what is run where the environment does not say otherwise */
export function itKeepsEveryPromise(usual: { minutes: number; seed: number }): void {
  const minutes = Number(process.env['FAULTS_MINUTES'] ?? usual.minutes)
  const seed = Number(process.env['FAULTS_SEED'] ?? usual.seed)

  it(`nodes and their database fail for ${minutes} minutes, and every promise is kept`, async (t) => {
    t.diagnostic(`FAULTS_SEED=${seed} FAULTS_MINUTES=${minutes}`)
    const verdict = await runFaults(t, minutes, seed)
    t.diagnostic(report(verdict))
    assert.equal(verdict.violations.length, 0, report(verdict))
    // Where nothing happens, no promise is broken.
    assert.ok(verdict.deeds.size > 0, 'Nothing was broken.')
    for (const what of ['messages accepted', 'messages received', 'receipts', ENDED_TRIED])
      assert.ok((verdict.figures[what] ?? 0) > 0, `${what}: none`)
  })
}
