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

const contracts = new Map<string | undefined, Contract>()

/**
 * The contract with this limit of a message. The other settings change only its prose, and reading it
 * takes a fifth of a start: servers in processes of their own state them all.
 */
export function contractWith({ MESSAGE_LENGTH_MAX }: Record<string, string> = {}): Contract {
  const contract =
    contracts.get(MESSAGE_LENGTH_MAX) ??
    readContract(readConfig(MESSAGE_LENGTH_MAX === undefined ? {} : { MESSAGE_LENGTH_MAX }))
  contracts.set(MESSAGE_LENGTH_MAX, contract)
  return contract
}
