/** Which PostgreSQL databases are served, and which are refused before anything is changed in them. */
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import pg from 'pg'
import { FORMS, itHasAllTablesAndServes } from './postgres-start/forms.ts'
import { itIsRefusedWithEncoding, refused } from './postgres-start/refused.ts'
import { inDatabase, nameOf, serves } from './postgres-start/serves.ts'
import { Client } from './support/client.ts'
import { atTheEnd } from './support/endings.ts'
import { at, startNodes, through } from './support/nodes.ts'
import { park } from './support/parked.ts'
import { pgbouncerMissing, startPgbouncer } from './support/pgbouncer.ts'
import { startServer } from './support/servers.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'
import { startTransactionPool } from './support/transaction-pool.ts'

let cluster: SharedCluster
before(async () => {
  cluster = await shareCluster()
})
after(() => cluster.stop())

describe('the schema', () => {
  itHasAllTablesAndServes(
    FORMS.filter(({ isShort }) => isShort),
    () => cluster,
  )

  it('is all that its owner needs: no other rights in the database', async (t) => {
    const database = await cluster.createDatabase()
    const url = new URL(database)
    url.username = `owner_of_${nameOf(database)}`
    url.password = 'secret'
    url.search = '?schema=chat'
    await inDatabase(database, [
      `CREATE ROLE ${url.username} LOGIN PASSWORD 'secret'`,
      `CREATE SCHEMA chat AUTHORIZATION ${url.username}`,
      'REVOKE CREATE ON DATABASE $db FROM PUBLIC',
    ])

    const node = await startServer(t, {}, url.href)
    await serves(t, node, node)
  })

  it('is the one that has the tables, even if another one now comes first', async (t) => {
    const database = await cluster.createDatabase()
    const first = await startServer(t, {}, database)
    await new Client(first).register('ada')
    await first.stop()
    await inDatabase(database, ['CREATE SCHEMA restante'])

    const second = await startServer(t, {}, database)
    assert.equal((await new Client(second).login('ada')).status, 200)
    await second.stop()

    await startServer(t, {}, `${database}?schema=restante`).then(({ stop }) => stop())
    await refused(t, database, /restante and public both have the tables.*\?schema=/)
  })

  it('is refused with a message when its name has a double quote', async (t) => {
    const database = await cluster.createDatabase()
    await refused(t, `${database}?schema=${encodeURIComponent('a"b')}`, /a"b.*quote/)
  })

  it('is refused with a message when none of the search path exists', async (t) => {
    const database = await cluster.createDatabase()
    await inDatabase(database, ['ALTER DATABASE $db SET search_path = nowhere'])
    await refused(t, database, /schema.*search_path.*\?schema=/)
  })

  it('separates its nodes from those of another, and its trigger finds it at a manual DELETE', async (t) => {
    const database = await cluster.createDatabase()
    const [one, another] = [
      await startServer(t, {}, `${database}?schema=one`),
      await startServer(t, {}, `${database}?schema=another`),
    ]
    const words = await wordsOn(t, database, ['one', 'another'])
    const ada = await new Client(one).join('ada')
    const eve = await new Client(another).join('ada')

    await ada.send(ada, 'hello')
    await ada.logout()

    await words.marked()
    assert.deepEqual(
      words.heard.map(({ schema, word }) => [schema, word]),
      [
        ['one', 'new'],
        ['one', 'ended'],
      ],
    )
    const poll = await park(t, eve, 'wait=55')
    // Whatever the search path of the connection.
    await inDatabase(database, ['DELETE FROM another.presence', 'DELETE FROM another.session'])
    assert.equal((await poll.answer()).body.code, 'session_ended')
  })
})

describe('settings of the database', () => {
  it('do not change what is read, or the guarantees of transactions', async (t) => {
    const database = await cluster.createDatabase()
    const settings = {
      DateStyle: "'SQL, DMY'",
      IntervalStyle: "'sql_standard'",
      TimeZone: "'Pacific/Kiritimati'",
      bytea_output: "'escape'",
      extra_float_digits: '-15',
      standard_conforming_strings: 'off',
      client_encoding: "'LATIN1'",
      default_transaction_isolation: "'serializable'",
      lock_timeout: '1',
      idle_session_timeout: '1000',
    }
    const statements = Object.entries(settings).map(
      ([name, value]) => `ALTER DATABASE $db SET ${name} = ${value}`,
    )
    await inDatabase(database, statements)
    const [one, other] = await startNodes(t, database)

    const { ada } = await serves(t, one, other)

    const sent = await ada.send(ada, 'déjà vu 😀', 'a-key')
    assert.ok(Math.abs(Date.parse(sent.body.sentAt) - Date.now()) < 10_000, sent.body.sentAt)
    assert.deepEqual((await at(other, ada).send(ada, 'déjà vu 😀', 'a-key')).body, sent.body)
    const { body } = await at(other, ada).poll({ after: 1, wait: 0 })
    assert.deepEqual(
      body.messages.map((message: Record<string, unknown>) => [message['body'], message['sentAt']]),
      [['déjà vu 😀', sent.body.sentAt]],
    )
    await ada.logout()
    const bob = await new Client(other).join('bob')
    const { lastSeenAt } = (await bob.user('ada')).body
    assert.ok(Math.abs(Date.parse(lastSeenAt) - Date.now()) < 10_000, lastSeenAt)
  })
})

describe('a database that must not be served', () => {
  itIsRefusedWithEncoding('LATIN1', () => cluster)

  it('was migrated by a newer version: it is refused, and not changed, until that is rolled back', async (t) => {
    const database = await cluster.createDatabase()
    await (await startServer(t, {}, database)).stop()
    await inDatabase(database, [
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ('1', 'x', '29990101000000_future', now(), 1)`,
      'DELETE FROM node',
    ])

    await refused(t, database, /newer version.*29990101000000_future/)

    await inDatabase(database, [
      `UPDATE _prisma_migrations SET finished_at = NULL, rolled_back_at = now(), applied_steps_count = 0
        WHERE id = '1'`,
    ])
    await startServer(t, {}, database)
  })

  it('is behind a pool in transaction mode', async (t) => {
    const database = await cluster.createDatabase()
    const pool = { port: await startTransactionPool(t, cluster.port) }

    await refused(t, through(pool, database), /PgBouncer.*session/, database)
    // No lock affects starts without it.
    await startServer(t, {}, database)
  })
})

describe('PgBouncer', { skip: pgbouncerMissing ?? false }, () => {
  it('in transaction mode is refused', async (t) => {
    const database = await cluster.createDatabase()
    await refused(t, await startPgbouncer(t, database, 'transaction'), /PgBouncer.*session/, database)
  })

  it('in session mode serves', async (t) => {
    const url = await startPgbouncer(t, await cluster.createDatabase(), 'session')
    const [one, other] = await startNodes(t, url)
    await serves(t, one, other)
  })
})

/** The kinds of notifications between nodes, except probes. */
async function wordsOn(t: TestContext, database: string, schemas: string[]) {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  atTheEnd(t, () => client.end())
  const { rows } = await client.query(
    "SELECT 'restante_' || oid AS channel, nspname AS schema FROM pg_namespace WHERE nspname = ANY ($1)",
    [schemas],
  )
  const heard: { schema: string; word: string }[] = []
  let mark = () => {}
  client.on('notification', ({ channel, payload = '' }) => {
    const [word = ''] = payload.split(' ')
    if (word === 'mark') mark()
    else if (word !== 'probe')
      heard.push({ schema: rows.find((row) => row.channel === channel).schema, word })
  })
  for (const { channel } of rows) await client.query(`LISTEN ${channel}`)
  return {
    heard,
    /** Resolves when all earlier notifications have arrived. */
    marked: async () => {
      const marked = new Promise<void>((resolve) => {
        mark = resolve
      })
      await client.query('SELECT pg_notify($1, $2)', [rows[0].channel, 'mark'])
      await marked
    },
  }
}
