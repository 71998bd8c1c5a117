/** The purge removes only what it may, and clients that missed messages get a gap. */
import assert from 'node:assert/strict'
import { before, describe, it, test } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { ClockHistory } from '../src/clock.ts'
import { bytesToUuid, uuidToBytes } from '../src/database/uuid.ts'
import { startRetention } from '../src/inbox/retention.ts'
import { messageId } from '../src/message-id.ts'
import { addAccounts } from './support/accounts.ts'
import { adaAndBob, Client, passwordOf, range, seqsOf } from './support/client.ts'
import { wallClock } from './support/clocks.ts'
import { fileOf, itOnSqlite, newDatabase } from './support/databases.ts'
import { type Ending, endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { type RunningServer, shareServer, startServer } from './support/servers.ts'
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

describe('a server that starts with old rows', () => {
  const ending = endOfSuite()
  let server: RunningServer

  before(async () => {
    const database = await prepare(ending, ['ada', 'bob', 'carol', 'zoe'], async (sql) => {
      await insertMessages(sql, 'ada', [3, 3, 1, 3, 3], 4)
      await insertMessages(sql, 'bob', [3, 3, 3], 1)
      await insertKeys(sql, 'ada', 1_100, -100_000)
      await insertKeys(sql, 'ada', 2_100, 25)
      await insertKeys(sql, 'ada', 3, 23)
      await insertKeys(sql, 'ada', 4, -23)
      for (const [id, inMs] of Object.entries({ past: -25 * HOUR_MS, future: HOUR_MS }))
        await sql.run(
          `INSERT INTO session (id, account_id, created_at, expires_at, acknowledged_seq, offered_seq)
           VALUES (?, ?, ?, ?, 0, 0)`,
          ...[id, await idOf(sql, 'carol'), new Date(0), new Date(Date.now() + inMs)],
        )
      await insertMessages(sql, 'zoe', [3], 1)
    })
    server = await startServer(ending, { RETENTION: '2h' }, database)
    // Her inbox is the last of a pass: when it is purged, the others have been checked.
    await eventually('the pass is over', () => hasSeqs(server, 'zoe', []))
  })

  it('purges acknowledged messages older than RETENTION, but no younger and no unacknowledged ones', async () => {
    assert.deepEqual(await seqsIn(server, 'bob'), [2, 3])
    assert.deepEqual(await seqsIn(server, 'ada'), [3, 4, 5])
    // The fourth is old and acknowledged, but a purge always removes one range.
    const ada = await new Client(server).enter('ada')
    const { body } = await ada.poll({ after: 0, wait: 0 })
    assert.deepEqual([body.gap, seqsOf(body.messages)], [{ from: 1, to: 2, reason: 'purged' }, [3, 4, 5]])
  })

  it('purges idempotency keys older than IDEMPOTENCY_TTL, and those dated ahead, however many', async () => {
    const keys = await rowsOf(server, 'idempotency_key')
    const ages = keys.map(({ key }) => String(key).replace(/ hours.*/, '')).sort()
    assert.deepEqual(ages, ['-23', '-23', '-23', '-23', '23', '23', '23'])
  })

  it('purges sessions that have expired, and no others', async () => {
    const ids = (await rowsOf(server, 'session')).map(({ id }) => id)
    assert.deepEqual([ids.includes('past'), ids.includes('future')], [false, true])
  })
})

describe('with MESSAGE_TTL, an unread message', () => {
  const ending = endOfSuite()
  let server: RunningServer
  /** Of the messages of carol, and then of two that had expired before the start. */
  let ids: string[]

  before(async () => {
    const database = await prepare(ending, ['ada', 'bob', 'carol', 'dan', 'zoe'], async (sql) => {
      await insertMessages(sql, 'ada', [2, 2, 2, 0.1, 0.1])
      await insertMessages(sql, 'bob', [2, 2, 2])
      await insertMessages(sql, 'carol', [25, 3, 3, 0.1], 1)
      await insertMessages(sql, 'dan', [2, 2, 2])
      const carol = await idOf(sql, 'carol')
      await sql.run('UPDATE message SET wants_receipt = true WHERE recipient_id = ?', carol)
      const rows = await sql.run('SELECT id FROM message WHERE recipient_id = ? ORDER BY seq', carol)
      const expired = [25, 23].map((hours) => {
        const id = uuidToBytes(messageId(Date.now()))
        return [id, carol, carol, hoursAgo(30), hoursAgo(hours)]
      })
      await insert(sql, 'expired_message (id, sender_id, recipient_id, sent_at, expired_at)', expired)
      ids = [...rows.map(({ id }) => id), ...expired.map(([id]) => id)].map((id) => bytesToUuid(id as Buffer))
      await insertMessages(sql, 'zoe', [2])
    })
    // An earlier send would lock an inbox, and a pass skips locked inboxes.
    server = await startServer(ending, { MESSAGE_TTL: '1h', INBOX_LIMIT: '3' }, database)
    await eventually('the pass is over', () => hasSeqs(server, 'zoe', []))
  })

  it('is purged when it is older, and the login reports the gap', async () => {
    const { body } = await new Client(server).login('ada')
    assert.deepEqual(body.gap, { from: 1, to: 3, reason: 'purged' })
    assert.deepEqual([seqsOf(body.offlineMessages), body.cursor, body.hasMore], [[4, 5], 5, false])
  })

  it('leaves a gap that is reported once; then the poll waits for the next message', async (t) => {
    const login = (await new Client(server).login('bob')).body
    assert.deepEqual(login.gap, { from: 1, to: 3, reason: 'purged' })
    assert.deepEqual([login.offlineMessages, login.cursor, login.hasMore], [[], 3, false])
    const bob = await new Client(server).enter('bob')
    const behind = (await bob.poll({ after: 1, wait: 30 })).body
    assert.deepEqual(behind, {
      messages: [],
      cursor: 3,
      hasMore: false,
      gap: { from: 2, to: 3, reason: 'purged' },
    })

    const poll = await park(t, bob, 'after=3&wait=30')
    await bob.send('bob', 'the fourth')
    const { body } = await poll.answer()
    assert.deepEqual([seqsOf(body.messages), body.gap], [[4], undefined])
  })

  it('is expired for its sender, for as long as an idempotency key lasts, and gives no receipt', async () => {
    const carol = await new Client(server).enter('carol')

    const states = await Promise.all(ids.map(async (id) => (await carol.status(id)).body.state))
    assert.deepEqual(
      states,
      [undefined, 'expired', 'expired', 'stored', undefined, 'expired'],
      'the first was acknowledged, the fifth is forgotten',
    )
    const kept = (await rowsOf(server, 'expired_message')).map(({ id }) => bytesToUuid(id as Buffer))
    assert.deepEqual([kept.includes(ids[4] as string), kept.includes(ids[5] as string)], [false, true])
    const zoe = await new Client(server).enter('zoe')
    assert.equal((await zoe.status(ids[1] as string)).status, 404)
    await carol.acknowledge(4)
    assert.equal((await carol.status(ids[3] as string)).body.state, 'delivered')
    assert.deepEqual((await carol.poll({ wait: 0 })).body.messages[0].receiptFor, [ids[3]])
  })

  it('makes room in a full inbox when it is purged', async () => {
    const zoe = await new Client(server).enter('zoe')
    assert.equal((await zoe.send('dan', 'once more')).status, 201)
    assert.deepEqual(await seqsIn(server, 'dan'), [4])
  })
})

test('a wrong clock lets no fresh message expire unread, while it is set and after a restart', async (t) => {
  const clock = await wallClock(t)
  await clock.step(-clock.now())
  const env = { MESSAGE_TTL: '1h', RETENTION: '1s' }
  const server = await startServer(t, env, clock.database)
  const client = new Client(server)
  const [ada, zoe] = [await client.join('ada'), await client.join('zoe')]
  await zoe.send('ada', 'read me')
  await clock.step(Date.UTC(2026, 10, 26))
  const passGoesOn = async (at: RunningServer, username: string) => {
    const reader = await new Client(at).join(username)
    await reader.send(reader, 'acknowledged')
    await reader.acknowledge(1)
    await eventually('passes go on', () => hasSeqs(at, username, []))
  }
  await passGoesOn(server, 'bob')
  assert.deepEqual(await seqsIn(server, 'ada'), [1])
  await server.stop()

  // The next process does not know of the step.
  const again = await startServer(t, env, clock.database)
  await passGoesOn(again, 'carol')

  const { body } = await new Client(again).login(ada.username)
  assert.deepEqual([body.offlineMessages[0]?.body, body.gap], ['read me', undefined])
  assert.match(body.offlineMessages[0]?.sentAt, /^1970-01-01/)
})

describe('with RETENTION=0', () => {
  const shared = shareServer({ RETENTION: '0' })

  it('an acknowledged message is purged at once, and a later read gets a gap', async () => {
    const server = await shared()
    const { ada } = await adaAndBob(server)
    const [first = ''] = await ada.sendMany(ada, 5)
    await ada.acknowledge(3)
    await eventually('the first three are gone', () => hasSeqs(server, ada.username, [4, 5]))

    assert.equal((await ada.status(first)).status, 404)
    const { body } = await ada.poll({ after: 1, wait: 0 })
    assert.deepEqual(body.gap, { from: 2, to: 3, reason: 'purged' })
    assert.deepEqual(seqsOf(body.messages), [4, 5])
    assert.equal((await ada.poll({ after: 3, wait: 0 })).body.gap, undefined)
  })

  it('the inbox of a deleted account is purged, but not what it sent', async () => {
    const server = await shared()
    const { ada, bob } = await adaAndBob(server)
    await bob.sendMany(ada, 3)
    await ada.send(bob, 'remember me')
    const accountId = await withSql(server.database, (sql) => idOf(sql, ada.username))
    await ada.request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })
    const isIn = async (table: string, column: string) =>
      (await rowsOf(server, table)).some((row) => row[column] === accountId)
    await eventually('the inbox is gone', async () => !(await isIn('message', 'recipient_id')))

    const { body } = await bob.poll({ wait: 0 })
    assert.deepEqual([body.messages[0].from, body.messages[0].body], [ada.username, 'remember me'])
    assert.equal(await isIn('session', 'account_id'), false)
  })

  // Transactions are counted in the write-ahead log.
  itOnSqlite('a purge of 5 000 messages works in small batches', async () => {
    const server = await shared()
    const commits = countCommits(fileOf(server.database))
    await withSql(server.database, async (sql) => {
      await addAccounts(sql, 'batches')
      await insertMessages(sql, 'batches', Array(5_000).fill(25), 5_000)
    })
    await eventually('all are gone', () => hasSeqs(server, 'batches', []))
    // The first inserted them.
    assert.ok(commits() >= 6, `${commits()} transactions`)
  })

  it('a purge delays no one: sends continue meanwhile, and their messages stay', async () => {
    const server = await shared()
    await withSql(server.database, async (sql) => {
      await addAccounts(sql, 'sender')
      await insertMessages(sql, 'sender', Array(5_000).fill(25))
    })
    const sender = await new Client(server).enter('sender')
    await sender.acknowledge(5_000)
    let sent = 0
    const goneAfterOneMore = async () => {
      assert.equal((await sender.send('sender', 'meanwhile')).status, 201)
      sent += 1
      return !(await seqsIn(server, 'sender')).includes(5_000)
    }
    await eventually('the old ones are gone', goneAfterOneMore)

    const { body } = await sender.poll({ after: 0, wait: 0, limit: 500 })
    assert.deepEqual(body.gap, { from: 1, to: 5_000, reason: 'purged' })
    assert.deepEqual(seqsOf(body.messages), range(5_001, 5_000 + Math.min(sent, 500)))
  })

  // A whole PostgreSQL database cannot be locked.
  itOnSqlite('the purge continues by itself after the database was locked', async (t) => {
    const server = await shared()
    const { ada } = await adaAndBob(server)
    await ada.sendMany(ada, 2)
    await ada.acknowledge(1)
    await eventually('the first is gone', () => hasSeqs(server, ada.username, [2]))
    await ada.acknowledge(2)
    const other = new SqliteFile(fileOf(server.database))
    t.after(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    // Sends and passes take turns, so a refused send means that a pass is also refused.
    assert.equal((await ada.send(ada, 'not now')).status, 503)
    other.close()

    await eventually('the second is gone', () => hasSeqs(server, ada.username, []))
    assert.deepEqual(
      server.logs.filter(({ level }) => level >= 50),
      [],
    )
  })

  // The last one, because it stops the shared server.
  it('numbers continue when everything was purged, also after a restart', async (t) => {
    const server = await shared()
    const { ada } = await adaAndBob(server)
    const allAreGone = () => hasSeqs(server, ada.username, [])
    await ada.sendMany(ada, 3)
    await ada.acknowledge(3)
    await eventually('all are gone', allAreGone)
    await ada.send(ada, 'the fourth')
    assert.deepEqual(seqsOf((await ada.poll({ after: 3, wait: 0 })).body.messages), [4])
    await ada.acknowledge(4)
    await eventually('all are gone again', allAreGone)
    await server.stop()

    const again = await startServer(t, { RETENTION: '0' }, server.database)
    const later = await new Client(again).enter(ada.username)
    await later.send(later, 'the fifth')
    const { body } = await later.poll({ wait: 0 })
    assert.deepEqual([seqsOf(body.messages), body.gap], [[5], undefined])
  })
})

/** A database with accounts, and with rows that would otherwise take time. Resolves with its DATABASE_URL. */
async function prepare(t: Ending, usernames: string[], fill: (sql: Sql) => Promise<void>): Promise<string> {
  const database = await newDatabase(t)
  await withSql(database, async (sql) => {
    await addAccounts(sql, ...usernames)
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

/** Whether an inbox has exactly these messages. */
async function hasSeqs(server: RunningServer, username: string, seqs: number[]): Promise<boolean> {
  return JSON.stringify(await seqsIn(server, username)) === JSON.stringify(seqs)
}
