import type { Contract } from '../../src/contract/document.ts'

/** Tests use the built server, which is what runs. Its types are those of the sources. */
const load = (file: string): Promise<unknown> => import(new URL(`../../dist/${file}`, import.meta.url).href)

export const { createServer } = (await load('server.js')) as typeof import('../../src/server.ts')
export const { openDatabase } = (await load(
  'open-database.js',
)) as typeof import('../../src/open-database.ts')
export const { runCommand } = (await load(
  'operator/command.js',
)) as typeof import('../../src/operator/command.ts')
export const { Administration } = (await load(
  'accounts/administration.js',
)) as typeof import('../../src/accounts/administration.ts')
export const { Passwords } = (await load(
  'accounts/passwords.js',
)) as typeof import('../../src/accounts/passwords.ts')
const { readContract } = (await load(
  'contract/document.js',
)) as typeof import('../../src/contract/document.ts')
const { statedNames } = (await load(
  'contract/stated-limits.js',
)) as typeof import('../../src/contract/stated-limits.ts')
export const { Connections } = (await load(
  'http/connections.js',
)) as typeof import('../../src/http/connections.ts')
export const { checkpointsBeside, writeBack } = (await load(
  'database/sqlite/checkpoints.js',
)) as typeof import('../../src/database/sqlite/checkpoints.ts')
export const { openStatements } = (await load(
  'database/sqlite/connection.js',
)) as typeof import('../../src/database/sqlite/connection.ts')
export const { readConfig, ConfigurationError, isPostgres } = (await load(
  'config.js',
)) as typeof import('../../src/config.ts')
export const { DatabaseInUse, DatabaseUnusable } = (await load(
  'database/database.js',
)) as typeof import('../../src/database/database.ts')

const contracts = new Map<string, Contract>()

/** The contract as a server with these settings states it, read once for those that it states. */
export function contractWith(env: Record<string, string> = {}): Contract {
  const key = JSON.stringify(statedNames.map((name) => env[name]))
  const contract = contracts.get(key) ?? readContract(readConfig(env))
  contracts.set(key, contract)
  return contract
}
