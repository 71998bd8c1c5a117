/** The purge removes only what it may, and clients that missed messages get a gap. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { ClockHistory } from '../src/clock.ts'
import { bytesToUuid, uuidToBytes } from '../src/database/uuid.ts'
import { startRetention } from '../src/inbox/retention.ts'
import { messageId } from '../src/message-id.ts'
import { addAccounts } from './support/accounts.ts'
import { Client, type Person, passwordOf, range, seqsOf } from './support/client.ts'
import { wallClock } from './support/clocks.ts'
import { fileOf, itOnSqlite, newDatabase } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { type Env, type RunningServer, startServer } from './support/servers.ts'
import { type Sql, withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'
import { countCommits } from './support/write-ahead-log.ts'

const HOUR_MS = 3_600_000

describe('a purge', () => {
  it('with a MESSAGE_TTL first writes deferred acknowledgements, whose messages are not unread', async () => {
    const rules = { retentionMs: 0, messageTtlMs: 1_000, idempotencyTtlMs: 1_000 }
    const steps: string[] = []
    await new Promise<void>((resolve) => {
      const database = {
        purge: async () => {
          steps.push('purged')
          void stop().then(resolve)
          return { next: undefined, messages: 0 }
        },
      }
      const acknowledgementsWritten = async () => {
        await new Promise(setImmediate)
        steps.push('acknowledged')
      }
      const inbox = { acknowledgementsWritten, counts: { purged: 0 } }
      const onFault = (error: unknown) => assert.fail(error as Error)
      const clock = new ClockHistory(Date.now)
      const stop = startRetention(database, inbox, rules, clock, onFault)
    })

    assert.deepEqual(steps, ['acknowledged', 'purged'])
  })
})

describe('an acknowledged message', () => {
  it('is purged at once with RETENTION=0, and a later read gets a gap', async (t) => {
    const { ada, server } = await begin(t, { RETENTION: '0' })
    const [first = ''] = await ada.sendMany('ada', 5)
    await ada.acknowledge(3)
    await eventually('the first three are gone', () => hasSeqs(server, [4, 5]))

    assert.equal((await ada.status(first)).status, 404)
    const { body } = await ada.poll({ after: 1, wait: 0 })
    assert.deepEqual(body.gap, { from: 2, to: 3, reason: 'purged' })
    assert.deepEqual(seqsOf(body.messages), [4, 5])
    assert.equal((await ada.poll({ after: 3, wait: 0 })).body.gap, undefined)
  })

  it('is purged when it is older than RETENTION', async (t) => {
    const { ada, server } = await begin(t, { RETENTION: '1s' })
    await ada.sendMany('ada', 3)
    await ada.acknowledge(3)
    await eventually('all are gone', () => hasSeqs(server, []))
  })

  it('stays while it is younger, and an unacknowledged one stays however old it is', async (t) => {
    const database = await prepare(t, async (sql) => {
      await insertMessages(sql, 'ada', [25, 25, 1, 25, 25], 4)
      await insertMessages(sql, 'bob', [25, 25, 25], 1)
      // The last inbox of a pass: when it is purged, the others have been checked.
      await insertMessages(sql, 'zoe', [25], 1)
    })
    const server = await startServer(t, {}, database)
    await eventually('the pass is over', async () => !(await seqsIn(server, 'zoe')).includes(1))

    assert.deepEqual(await seqsIn(server, 'bob'), [2, 3])
    assert.deepEqual(await seqsIn(server, 'ada'), [3, 4, 5])
    // The fourth is old and acknowledged, but a purge always removes one range.
    const ada = await new Client(server).enter('ada')
    const { body } = await ada.poll({ after: 0, wait: 0 })
    assert.deepEqual([body.gap, seqsOf(body.messages)], [{ from: 1, to: 2, reason: 'purged' }, [3, 4, 5]])
  })
})

describe('an unread message', () => {
  it('is purged when it is older than MESSAGE_TTL, and the login reports the gap', async (t) => {
    const database = await prepare(t, (sql) => insertMessages(sql, 'ada', [2, 2, 2, 0.1, 0.1]))
    const server = await startServer(t, { MESSAGE_TTL: '1h' }, database)
    await eventually('the old ones are gone', () => hasSeqs(server, [4, 5]))

    const { body } = await new Client(server).login('ada')
    assert.deepEqual(body.gap, { from: 1, to: 3, reason: 'purged' })
    assert.deepEqual([seqsOf(body.offlineMessages), body.cursor, body.hasMore], [[4, 5], 5, false])
  })

  it('leaves a gap that is reported once; then the poll waits for the next message', async (t) => {
    const database = await prepare(t, (sql) => insertMessages(sql, 'ada', [2, 2, 2]))
    const server = await startServer(t, { MESSAGE_TTL: '1h' }, database)
    await eventually('all are gone', () => hasSeqs(server, []))

    const login = (await new Client(server).login('ada')).body
    assert.deepEqual(login.gap, { from: 1, to: 3, reason: 'purged' })
    assert.deepEqual([login.offlineMessages, login.cursor, login.hasMore], [[], 3, false])
    const ada = await new Client(server).enter('ada')
    const behind = (await ada.poll({ after: 1, wait: 30 })).body
    assert.deepEqual(behind, {
      messages: [],
      cursor: 3,
      hasMore: false,
      gap: { from: 2, to: 3, reason: 'purged' },
    })

    const poll = await park(t, ada, 'after=3&wait=30')
    await ada.send('ada', 'the fourth')
    const { body } = await poll.answer()
    assert.deepEqual([seqsOf(body.messages), body.gap], [[4], undefined])
  })

  it('is expired for its sender, for as long as an idempotency key lasts, and gives no receipt', async (t) => {
    const database = await prepare(t, async (sql) => {
      await insertMessages(sql, 'ada', [25, 3, 3, 0.1], 1)
      await sql.run('UPDATE message SET wants_receipt = true')
    })
    const ids = (await withSql(database, ({ run }) => run('SELECT id FROM message ORDER BY seq'))).map(
      (row) => bytesToUuid(row['id'] as Buffer),
    )
    const env = { MESSAGE_TTL: '2h' }
    const server = await startServer(t, env, database)
    await eventually('the old ones are gone', () => hasSeqs(server, [4]))
    const ada = await new Client(server).enter('ada')

    const states = await Promise.all(ids.map(async (id) => (await ada.status(id)).body.state))
    assert.deepEqual(states, [undefined, 'expired', 'expired', 'stored'], 'the first was acknowledged')
    const zoe = await new Client(server).enter('zoe')
    assert.equal((await zoe.status(ids[1] as string)).status, 404)
    await ada.acknowledge(4)
    assert.equal((await ada.status(ids[3] as string)).body.state, 'delivered')
    assert.deepEqual((await ada.poll({ wait: 0 })).body.messages[0].receiptFor, [ids[3]])

    await server.stop()
    await withSql(database, ({ run }) => run('UPDATE expired_message SET expired_at = ?', hoursAgo(25)))
    const later = await startServer(t, env, database)
    await eventually('it is forgotten', async () => (await rowsOf(later, 'expired_message')).length === 0)
  })

  it('makes room in a full inbox when it is purged', async (t) => {
    const database = await prepare(t, (sql) => insertMessages(sql, 'ada', [2, 2, 2]))
    const server = await startServer(t, { MESSAGE_TTL: '1h', INBOX_LIMIT: '3' }, database)
    // An earlier send would lock the inbox, and a pass skips locked inboxes.
    await eventually('the old ones are gone', () => hasSeqs(server, []))
    const zoe = await new Client(server).enter('zoe')
    assert.equal((await zoe.send('ada', 'once more')).status, 201)
    assert.deepEqual(await seqsIn(server, 'ada'), [4])
  })
})

describe('a wrong clock', () => {
  it('lets no fresh message expire unread when it began in 1970 and is set', async (t) => {
    const clock = await wallClock(t)
    await clock.step(-clock.now())
    const env = { MESSAGE_TTL: '1s', RETENTION: '24h' }
    const server = await startServer(t, env, clock.database)
    const client = new Client(server)
    const [ada, zoe] = [await client.join('ada'), await client.join('zoe')]
    await zoe.send('ada', 'read me')
    await clock.step(Date.UTC(2026, 10, 26))
    await server.stop()

    // The next process does not know of the step.
    const again = await startServer(t, env, clock.database)
    const sender = await new Client(again).enter('zoe')
    await sender.send('zoe', 'expires')
    await eventually('walks go on', async () => (await seqsIn(again, 'zoe')).length === 0)

    const { body } = await new Client(again).login(ada.username)
    assert.deepEqual([body.offlineMessages[0]?.body, body.gap], ['read me', undefined])
    assert.match(body.offlineMessages[0]?.sentAt, /^1970-01-01/)
  })

  it('lets no fresh message expire unread when it is set while the server runs', async (t) => {
    const clock = await wallClock(t)
    await clock.step(-20 * 365 * 24 * HOUR_MS)
    const server = await startServer(t, { MESSAGE_TTL: '1h', RETENTION: '1s' }, clock.database)
    const client = new Client(server)
    const [ada, zoe] = [await client.join('ada'), await client.join('zoe')]
    await zoe.send('ada', 'read me')
    await clock.step(19 * 365 * 24 * HOUR_MS)
    const later = await client.join('later')
    await later.send('later', 'acknowledged')
    await later.acknowledge(1)
    await eventually('walks go on', async () => (await seqsIn(server, 'later')).length === 0)

    assert.deepEqual(await seqsIn(server, ada.username), [1])
  })

  it('does not keep expired keys because of keys dated ahead, which are purged, too', async (t) => {
    const database = await prepare(t, async (sql) => {
      await insertKeys(sql, 'ada', 1_000, -100_000)
      await insertKeys(sql, 'ada', 1_500, 25)
      await insertKeys(sql, 'ada', 3, 23)
      await insertKeys(sql, 'ada', 4, -23)
    })
    const server = await startServer(t, {}, database)
    const keys = () => rowsOf(server, 'idempotency_key')
    await eventually('the others are gone', async () => (await keys()).length <= 7)
    assert.equal((await keys()).length, 7)
  })
})

describe('numbers', () => {
  it('continue when everything was purged, also after a restart', async (t) => {
    const { ada, server } = await begin(t, { RETENTION: '0' })
    await ada.sendMany('ada', 3)
    await ada.acknowledge(3)
    await eventually('all are gone', () => hasSeqs(server, []))
    await ada.send('ada', 'the fourth')
    assert.deepEqual(seqsOf((await ada.poll({ after: 3, wait: 0 })).body.messages), [4])
    await ada.acknowledge(4)
    await eventually('all are gone again', () => hasSeqs(server, []))
    await server.stop()

    const again = await startServer(t, { RETENTION: '0' }, server.database)
    const later = await new Client(again).enter('ada')
    await later.send('ada', 'the fifth')
    const { body } = await later.poll({ wait: 0 })
    assert.deepEqual([seqsOf(body.messages), body.gap], [[5], undefined])
  })
})

describe('the purge of other rows', () => {
  it('includes the inbox of a deleted account, but not what it sent', async (t) => {
    const { ada, zoe, server } = await begin(t, { RETENTION: '0' })
    await zoe.sendMany('ada', 3)
    await ada.send('zoe', 'remember me')
    await ada.request('POST', '/v1/me/delete', { body: { password: passwordOf('ada') } })
    await eventually('the inbox is gone', async () => (await seqsIn(server, 'ada')).length === 0)

    const { body } = await zoe.poll({ wait: 0 })
    assert.deepEqual([body.messages[0].from, body.messages[0].body], ['ada', 'remember me'])
    const sessions = await rowsOf(server, 'session')
    assert.equal(sessions.length, 1, 'That of zoe.')
  })

  it('are idempotency keys, older than IDEMPOTENCY_TTL and no others, however many', async (t) => {
    const database = await prepare(t, async (sql) => {
      await insertKeys(sql, 'ada', 5_000, 25)
      await insertKeys(sql, 'ada', 3, 23)
    })
    const server = await startServer(t, {}, database)
    const keys = () =>
      withSql(server.database, async (sql) => {
        const [row] = await sql.run('SELECT count(*) AS keys FROM idempotency_key')
        return Number(row?.['keys'])
      })
    await eventually('the old ones are gone', async () => (await keys()) <= 3)
    assert.equal(await keys(), 3)
  })

  it('are sessions that have expired and no others', async (t) => {
    const database = await prepare(t, async (sql) => {
      for (const [id, inMs] of Object.entries({ past: -25 * HOUR_MS, future: HOUR_MS })) {
        await sql.run(
          `INSERT INTO session (id, account_id, created_at, expires_at, acknowledged_seq, offered_seq)
           VALUES (?, ?, ?, ?, 0, 0)`,
          ...[id, await idOf(sql, 'ada'), new Date(0), new Date(Date.now() + inMs)],
        )
      }
    })
    const server = await startServer(t, {}, database)
    const has = async (wanted: string) => (await rowsOf(server, 'session')).some(({ id }) => id === wanted)
    await eventually('the old one is gone', async () => !(await has('past')))
    assert.ok(await has('future'))
  })
})

describe('the purge', () => {
  // Transactions are counted in the write-ahead log.
  itOnSqlite('of 5 000 messages works in small batches', async (t) => {
    const database = await prepare(t, (sql) => insertMessages(sql, 'ada', Array(5_000).fill(25), 5_000))
    const commits = countCommits(fileOf(database))
    const server = await startServer(t, {}, database)
    await eventually('all are gone', () => hasSeqs(server, []))
    assert.ok(commits() >= 5, `${commits()} transactions`)
  })

  it('delays no one: sends continue meanwhile, and their messages stay', async (t) => {
    const database = await prepare(t, (sql) => insertMessages(sql, 'ada', Array(5_000).fill(25)))
    const server = await startServer(t, { RETENTION: '0' }, database)
    const ada = await new Client(server).enter('ada')
    await ada.acknowledge(5_000)
    let sent = 0
    const sendOne = async () => {
      assert.equal((await ada.send('ada', 'meanwhile')).status, 201)
      sent += 1
    }
    const goneAfterOneMore = async () => {
      await sendOne()
      return !(await seqsIn(server, 'ada')).includes(5_000)
    }
    await eventually('the old ones are gone', goneAfterOneMore)

    const { body } = await ada.poll({ after: 0, wait: 0, limit: 500 })
    assert.deepEqual(body.gap, { from: 1, to: 5_000, reason: 'purged' })
    assert.deepEqual(seqsOf(body.messages), range(5_001, 5_000 + Math.min(sent, 500)))
  })

  // A whole PostgreSQL database cannot be locked.
  itOnSqlite('continues by itself after the database was locked', async (t) => {
    const { ada, server } = await begin(t, { RETENTION: '0' })
    await ada.sendMany('ada', 2)
    await ada.acknowledge(1)
    await eventually('the first is gone', () => hasSeqs(server, [2]))
    await ada.acknowledge(2)
    const other = new SqliteFile(fileOf(server.database))
    t.after(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    // Sends and passes take turns, so a refused send means that a pass is also refused.
    assert.equal((await ada.send('ada', 'not now')).status, 503)
    other.close()

    await eventually('the second is gone', () => hasSeqs(server, []))
    assert.deepEqual(
      server.logs.filter(({ level }) => level >= 50),
      [],
    )
  })
})

interface Beginning {
  server: RunningServer
  ada: Person
  zoe: Person
}

async function begin(t: TestContext, env: Env): Promise<Beginning> {
  const server = await startServer(t, env)
  const client = new Client(server)
  return { server, ada: await client.join('ada'), zoe: await client.join('zoe') }
}

/** A database with accounts, and with rows that would otherwise take time. Resolves with its DATABASE_URL. */
async function prepare(t: TestContext, fill: (sql: Sql) => Promise<void>): Promise<string> {
  const database = await newDatabase(t)
  await withSql(database, async (sql) => {
    // Zoe comes after the others, so she is purged after them.
    await addAccounts(sql, 'ada', 'bob', 'zoe')
    await fill(sql)
  })
  return database
}

/** @param agesHours one per message, in the order of their numbers */
async function insertMessages(sql: Sql, to: string, agesHours: number[], acknowledgedSeq = 0) {
  const id = await idOf(sql, to)
  const rows = agesHours.map((hours, i) => [
    ...[id, i + 1, uuidToBytes(messageId(Date.now())), id, `message ${i + 1}`, hoursAgo(hours), 0],
  ])
  await insert(sql, 'message (recipient_id, seq, id, sender_id, body, sent_at, bytes_before)', rows)
  const counters = [agesHours.length, acknowledgedSeq]
  await sql.run('UPDATE account SET newest_seq = ?, acknowledged_seq = ? WHERE id = ?', ...counters, id)
}

async function insertKeys(sql: Sql, from: string, count: number, ageHours: number) {
  const id = await idOf(sql, from)
  const rows = range(1, count).map((i) => {
    const bytes = uuidToBytes(messageId(Date.now()))
    return [id, `${ageHours} hours ${i}`, bytes, bytes, hoursAgo(ageHours), false]
  })
  await insert(sql, 'idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)', rows)
}

/** Hundreds of rows per statement. */
async function insert(sql: Sql, into: string, rows: Parameters<Sql['run']>[1][][]) {
  for (let at = 0; at < rows.length; at += 500) {
    const some = rows.slice(at, at + 500)
    const places = some.map((row) => `(${row.map(() => '?').join(', ')})`)
    await sql.run(`INSERT INTO ${into} VALUES ${places.join(', ')}`, ...some.flat())
  }
}

const hoursAgo = (hours: number) => new Date(Date.now() - hours * HOUR_MS)

async function idOf(sql: Sql, username: string): Promise<number> {
  const [account] = await sql.run('SELECT id FROM account WHERE username = ?', username)
  return Number(account?.['id'])
}

const rowsOf = async ({ database }: RunningServer, table: string) => (await stored(database))[table] ?? []

const seqsIn = ({ database }: RunningServer, username: string): Promise<unknown[]> =>
  withSql(database, async (sql) => {
    const of = 'SELECT seq FROM message WHERE recipient_id = (SELECT id FROM account WHERE username = ?)'
    return (await sql.run(`${of} ORDER BY seq`, username)).map(({ seq }) => seq)
  })

/** Whether the inbox of ada has exactly these messages. */
async function hasSeqs(server: RunningServer, seqs: number[]): Promise<boolean> {
  return JSON.stringify(await seqsIn(server, 'ada')) === JSON.stringify(seqs)
}
