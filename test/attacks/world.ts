import { statSync } from 'node:fs'
import { addPeople, JWT_SECRET, PASSWORD, people } from '../../bench/support/people.ts'
import { COLLECTING } from '../../bench/support/processes.ts'
import { Client, newName, type Person, passwordOf, range } from '../support/client.ts'
import { fileOf, newDatabase } from '../support/databases.ts'
import type { Ending } from '../support/endings.ts'
import { PROGRAM } from '../support/program.ts'
import { type Env, type ServerProcess, spawnServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'
import type { Target } from './attacks.ts'

/** The attacker's accounts: those that do something, and those that only log in. */
const ACCOUNTS = 21
const LOGINS = 18

/** A server with its default limits, and its users. */
export interface World {
  server: ServerProcess
  client: Client
  /** The normal clients. */
  ada: Person
  bob: Person
  /** The owner of the attacked name, who has logged in once from {@link HOME}. */
  victim: string
  pagesFilled: boolean
  target: (connections: number, own?: boolean) => Target
}

/**
 * An address from which the victim has logged in before, and a new one; both come through the trusted proxy.
 */
export const HOME = '203.0.113.7'
export const AWAY = '192.0.2.7'

/** The attacker has an address of its own if the system has several loopback addresses. */
export const ATTACKER = process.platform === 'linux' ? '127.0.0.2' : undefined

/** A request that the trusted proxy forwards for this address. */
const from = (address: string) => ({ 'x-forwarded-for': address })

export async function createWorld(t: Ending, env: Env = {}): Promise<World> {
  // The proxy and the normal clients are at 127.0.0.1, the attacker is not.
  const trusted = { TRUST_PROXY: '127.0.0.1', RATE_LIMITS: 'on', JWT_SECRET, ...env }
  const program = [process.execPath, ...COLLECTING, PROGRAM]
  const server = await spawnServer(t, trusted, await newDatabase(t), program)
  // Directly into the store, because one address may not register this many at once.
  await withSql(server.database, (sql) => addPeople(sql, ACCOUNTS + LOGINS))
  const client = new Client(server)
  const [ada, bob, victim] = [
    await client.join(newName('ada')),
    await client.join(newName('bob')),
    newName('eve'),
  ]
  await client.register(victim)
  await loginFrom({ client, victim }, HOME)

  const target = (connections: number, own = true): Target => ({
    port: Number(new URL(server.url).port),
    from: own ? ATTACKER : undefined,
    accounts: people(0, ACCOUNTS),
    logins: people(ACCOUNTS, LOGINS),
    password: PASSWORD,
    victim,
    connections,
  })
  return { server, client, ada, bob, victim, pagesFilled: false, target }
}

/** Puts more than one page of long messages into the inbox of the attacker's first account, once. */
export async function fillPages(world: World) {
  const [{ username } = { username: '' }] = world.target(1).accounts
  for (const _ of range(1, world.pagesFilled ? 0 : 150)) await world.bob.send(username, 'x'.repeat(16_384))
  world.pagesFilled = true
}

/** The victim logs in with the right password. */
export const loginFrom = ({ client, victim }: Pick<World, 'client' | 'victim'>, address: string) =>
  client.post('/v1/login', { username: victim, password: passwordOf(victim) }, { headers: from(address) })

/** The size of the database on disk. */
export const diskBytes = ({ server }: World) =>
  ['', '-wal'].reduce((sum, suffix) => sum + statSync(fileOf(server.database) + suffix).size, 0)
