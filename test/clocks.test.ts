/** Setting the wall clock while the server runs changes dates, and nothing else. */
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { ClockHistory } from '../src/clock.ts'
import { itStandsSteps } from './clocks/steps.ts'
import { Client } from './support/client.ts'
import { stillClock } from './support/clocks.ts'
import { onPostgres } from './support/databases.ts'
import { startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { claimsOf } from './support/tokens.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DECADE_MS = 3_650 * DAY_MS

// Longer steps are in test/long.
itStandsSteps({ 'an hour back': -HOUR_MS, 'an hour ahead, to where it was': HOUR_MS })

// Only PostgreSQL has other nodes.
if (onPostgres)
  test('a node that died before the clock went back keeps no account online', async (t) => {
    const server = await startServer(t)
    const client = new Client(server)
    const [ada, bob] = [await client.join('ada'), await client.join('bob')]
    const polls = (aliveForMs: number) =>
      withSql(server.database, async ({ run }) => {
        await run('DELETE FROM node WHERE id = ?', 'other')
        await run('INSERT INTO node VALUES (?, ?)', 'other', new Date(Date.now() + aliveForMs))
        await run('INSERT INTO presence VALUES (?, ?)', String(claimsOf(ada.token)['sid']), 'other')
      })
    await polls(7_000)
    assert.equal((await bob.user(ada)).body.online, true)

    await polls(HOUR_MS)

    assert.equal((await bob.user(ada)).body.online, false)
    assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
    assert.equal((await client.login('ada')).status, 200)
  })

test('a server runs with the longest durations that can be set', async (t) => {
  const names = ['TOKEN_TTL', 'IDEMPOTENCY_TTL', 'RETENTION', 'MESSAGE_TTL', 'PRESENCE_GRACE']
  const env = Object.fromEntries(names.map((name) => [name, '3650d']))
  const server = await startServer(t, { ...env, RATE_LIMITS: 'on' })
  const ada = await new Client(server).join('ada')
  const sent = await ada.send('ada', 'hello', 'key')

  const { headers, body } = await ada.send('ada', 'hello', 'key')

  assert.deepEqual([headers.get('idempotent-replayed'), body], ['true', sent.body])
  assert.equal((await ada.poll({ wait: 1 })).body.messages.length, 1)
  assert.equal((await ada.request('POST', '/v1/token')).body.expiresAt.slice(0, 2), '20')
  assert.equal((await ada.user('ada')).body.online, true)
  assert.deepEqual(
    server.logs.filter(({ level }) => level >= 50),
    [],
  )
})

describe('a clock with a memory', () => {
  const open = (t: Parameters<typeof stillClock>[0], startMs: number) => {
    const still = stillClock(t)
    let nowMs = startMs
    const history = new ClockHistory(() => nowMs)
    history.now()
    const pass = (ms: number) => {
      still.tick(ms)
      nowMs += ms
    }
    const step = (ms: number) => {
      nowMs += ms
      history.now()
    }
    return { history, pass, step, now: () => nowMs }
  }
  const START_MS = Date.UTC(2026, 10, 26)

  it('treats old things as old while it is not set', (t) => {
    const { history, pass, now } = open(t, START_MS)
    assert.equal(history.oldBeforeMs(HOUR_MS), START_MS - HOUR_MS)
    pass(10 * DAY_MS)
    assert.equal(history.oldBeforeMs(HOUR_MS), now() - HOUR_MS)
    assert.equal(history.oldBeforeMs(Number.POSITIVE_INFINITY), Number.NEGATIVE_INFINITY)
  })

  it('treats nothing as old that came since it was set, or shortly before', (t) => {
    const { history, pass, step } = open(t, 0)
    pass(HOUR_MS / 2)
    step(START_MS)
    assert.equal(history.oldBeforeMs(HOUR_MS), 0)

    pass(HOUR_MS)

    assert.equal(history.oldBeforeMs(HOUR_MS), START_MS + HOUR_MS / 2)
  })

  it('keeps its judgement of age when it was ahead for a moment', (t) => {
    const { history, pass, step, now } = open(t, START_MS)
    pass(DAY_MS)
    step(DECADE_MS)
    pass(60_000)
    const whileAheadMs = history.oldBeforeMs(HOUR_MS)
    step(-DECADE_MS)

    assert.equal(whileAheadMs, now() - HOUR_MS)
    assert.equal(history.oldBeforeMs(HOUR_MS), now() - HOUR_MS)
  })

  it('treats a date as wrong that is neither recent nor near', (t) => {
    const { history, pass, step, now } = open(t, START_MS)
    assert.equal(history.wrongAfterMs(HOUR_MS), START_MS + HOUR_MS)
    step(DECADE_MS)
    step(-DECADE_MS)
    pass(HOUR_MS / 2)
    assert.equal(history.wrongAfterMs(HOUR_MS), START_MS + DECADE_MS)

    pass(HOUR_MS)

    assert.equal(history.wrongAfterMs(HOUR_MS), now() + HOUR_MS)
  })
})
