/**
 * Measures how much disk and memory accounts, sessions and messages take, for docs/operating.md:
 *
 *   npm run bench:sizes
 *
 * Writes sizes.json here. It takes two minutes; other work on the machine does not change the figures.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { Connection, expectStatus } from './support/connection.ts'
import { type Person, people } from './support/people.ts'
import { startPostgres } from './support/postgres.ts'
import { COLLECTING, Processes, type Service } from './support/processes.ts'
import { bearerText, sendBodyText } from './support/requests.ts'
import { seed } from './support/store.ts'

const ACCOUNTS = 10_000
const RECIPIENTS = 1_000
const MESSAGES = 20_000
const CONNECTIONS = 64
const BODY_LENGTHS = [100, 1_000] as const

const data = fileURLToPath(new URL('../data/', import.meta.url))
mkdirSync(data, { recursive: true })
const folder = mkdtempSync(join(data, 'sizes-'))
const processes = new Processes([])
process.once('exit', () => {
  processes.killAll()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const everybody = people(0, ACCOUNTS)
const sizes = { measuredAt: new Date().toISOString(), sqlite: await onSqlite(), postgres: await onPostgres() }
writeFileSync(new URL('sizes.json', import.meta.url), `${JSON.stringify(sizes, null, 2)}\n`)
console.log(JSON.stringify(sizes, null, 2))
process.exit()

/** All figures in bytes. */
async function onSqlite() {
  const empty = join(folder, 'empty.db')
  await (await processes.server(empty)).stop()
  const file = join(folder, 'sizes.db')
  await seed(processes, file, { accounts: ACCOUNTS })
  const account = (statSync(file).size - statSync(empty).size) / ACCOUNTS
  const measured = await measure(file, async () => statSync(file).size)
  return { empty: statSync(empty).size, account, ...measured }
}

async function onPostgres() {
  const postgres = await startPostgres(processes, ACCOUNTS)
  const client = new pg.Client(postgres.url)
  await client.connect()
  const ask = async (expression: string) =>
    Number((await client.query(`SELECT ${expression} AS answer`)).rows[0].answer)
  const tables = await ask(`pg_total_relation_size('account') + pg_total_relation_size('session')`)
  const walBefore = await ask(`pg_current_wal_lsn() - '0/0'`)
  const measured = await measure(postgres.url, async () => {
    await client.query('VACUUM')
    return ask('pg_database_size(current_database())')
  })
  const wal = (await ask(`pg_current_wal_lsn() - '0/0'`)) - walBefore
  await client.end()
  await postgres.stop()
  const sent = MESSAGES * (BODY_LENGTHS.length + 1)
  return { account: tables / ACCOUNTS, walOfMessage: wal / sent, ...measured }
}

/** @param bytesOnDisk of a database that no server uses */
async function measure(database: string, bytesOnDisk: () => Promise<number>) {
  const message: Record<number, number> = {}
  let before = await bytesOnDisk()
  let log = 0
  const send = async (length: number, withKeys: boolean) => {
    const server = await processes.server(database)
    await sendAll(server, length, withKeys)
    log = Math.max(log, statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    await server.stop()
    const after = await bytesOnDisk()
    const bytes = (after - before) / MESSAGES
    before = after
    return bytes
  }
  for (const length of BODY_LENGTHS) message[length] = await send(length, false)
  const idempotencyKey = (await send(BODY_LENGTHS[0], true)) - (message[BODY_LENGTHS[0]] as number)

  const server = await processes.server(database, {}, COLLECTING)
  await useAll(server, everybody.slice(0, RECIPIENTS))
  const few = await server.heldBytes()
  const resident = residentBytes(server.pid)
  await useAll(server, everybody)
  const session = ((await server.heldBytes()) - few) / (ACCOUNTS - RECIPIENTS)
  await server.stop()
  return { message, idempotencyKey, ...(log > 0 && { log }), memory: { resident, session } }
}

/** With what it shares with other processes of Node, of which an operator has none. */
function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1_024
}

/** From many connections at once, to some recipients in turn. */
async function sendAll({ url }: Service, length: number, withKeys: boolean) {
  const body = 'All happy families are alike. '.repeat(length).slice(0, length)
  const numbers = Array.from({ length: MESSAGES }, (_, index) => index).values()
  const senders = everybody.slice(-CONNECTIONS).map(async (sender) => {
    const connection = await Connection.open(url)
    for (const number of numbers) {
      const to = everybody[number % RECIPIENTS] as Person
      const key = withKeys ? crypto.randomUUID() : undefined
      expectStatus(await connection.request(sendBodyText(sender, to.username, body, key)), 201)
    }
    connection.close()
  })
  await Promise.all(senders)
}

/** A request of each, so that its session is in memory. */
async function useAll({ url }: Service, users: Person[]) {
  const connection = await Connection.open(url)
  for (const user of users) expectStatus(await connection.request(bearerText(user, '/v1/me')), 200)
  connection.close()
}
