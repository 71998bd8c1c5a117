/**
 * Measures how much disk and memory accounts, sessions and messages take, for docs/operating.md:
 *
 *   npm run bench:sizes
 *
 * Writes bench/sizes.json. Takes two minutes; other work on the machine does not change the figures.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withConnection } from './support/connection.ts'
import { scratchFolder } from './support/machine.ts'
import { type Person, people } from './support/people.ts'
import { startPostgres } from './support/postgres.ts'
import { COLLECTING, type Service, startServer } from './support/processes.ts'
import { getText, sendText } from './support/requests.ts'
import { seed } from './support/store.ts'

const ACCOUNTS = 10_000
const RECIPIENTS = 1_000
const MESSAGES = 20_000
const CONNECTIONS = 64

const folder = scratchFolder()
const everybody = people(0, ACCOUNTS)
const sizes = { measuredAt: new Date().toISOString(), sqlite: await onSqlite(), postgres: await onPostgres() }
writeFileSync('bench/sizes.json', `${JSON.stringify(sizes, null, 2)}\n`)
console.log(JSON.stringify(sizes, null, 2))
process.exit()

/** All figures in bytes. */
async function onSqlite() {
  const [none, file] = [join(folder, 'empty.db'), join(folder, 'sizes.db')]
  await (await startServer(none)).stop()
  await seed(file, ACCOUNTS)
  const bytesOf = (path: string) => statSync(path).size
  const [empty, seeded] = [bytesOf(none), bytesOf(file)]
  return { empty, account: (seeded - empty) / ACCOUNTS, ...(await measure(file, async () => bytesOf(file))) }
}

async function onPostgres() {
  const { url, client, stop } = await startPostgres(ACCOUNTS)
  const ask = async (expression: string) =>
    Number((await client.query(`SELECT ${expression} AS it`)).rows[0].it)
  const tables = await ask(`pg_total_relation_size('account') + pg_total_relation_size('session')`)
  const wal = () => ask(`pg_current_wal_lsn() - '0/0'`)
  const walBefore = await wal()
  const measured = await measure(url, async () => {
    await client.query('VACUUM')
    return ask('pg_database_size(current_database())')
  })
  const walOfMessage = ((await wal()) - walBefore) / (3 * MESSAGES)
  await stop()
  return { account: tables / ACCOUNTS, walOfMessage, ...measured }
}

/** @param bytesOnDisk size of a database that no server uses */
async function measure(database: string, bytesOnDisk: () => Promise<number>) {
  let log = 0
  const bytesOfMessage = async (length: number, withKeys = false) => {
    const before = await bytesOnDisk()
    const server = await startServer(database)
    await sendAll(server, 'All happy families are alike. '.repeat(length).slice(0, length), withKeys)
    log = Math.max(log, statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    await server.stop()
    return ((await bytesOnDisk()) - before) / MESSAGES
  }
  const message = { 100: await bytesOfMessage(100), 1000: await bytesOfMessage(1_000) }
  const idempotencyKey = (await bytesOfMessage(100, true)) - message[100]

  const server = await startServer(database, COLLECTING)
  await useAll(server, everybody.slice(0, RECIPIENTS))
  const few = await server.heldBytes()
  // Includes memory shared with other Node processes, because an operator runs no others.
  const resident =
    1_024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1])
  await useAll(server, everybody)
  const session = ((await server.heldBytes()) - few) / (ACCOUNTS - RECIPIENTS)
  await server.stop()
  return { message, idempotencyKey, ...(log > 0 && { log }), memory: { resident, session } }
}

/** Sends over many connections at once, to some recipients in turn. */
async function sendAll({ url }: Service, body: string, withKeys: boolean) {
  const numbers = Array(MESSAGES).keys()
  const senders = everybody.slice(-CONNECTIONS).map((sender) =>
    withConnection(url, async (connection) => {
      for (const number of numbers) {
        const { username } = everybody[number % RECIPIENTS] as Person
        const key = withKeys ? crypto.randomUUID() : undefined
        await connection.expect(201, sendText(sender, username, body, key))
      }
    }),
  )
  await Promise.all(senders)
}

/** Makes one request per user, so that their sessions are in memory. */
function useAll({ url }: Service, users: Person[]) {
  return withConnection(url, async (connection) => {
    for (const user of users) await connection.expect(200, getText('/v1/me', user))
  })
}
