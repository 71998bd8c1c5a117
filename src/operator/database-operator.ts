import { existsSync } from 'node:fs'
import { Administration } from '../accounts/administration.ts'
import { Invites } from '../accounts/invites.ts'
import { type PasswordCost, Passwords } from '../accounts/passwords.ts'
import { type Config, databaseFile, isPostgres } from '../config.ts'
import { readContract } from '../contract/document.ts'
import { bodyCheck } from '../contract/validation.ts'
import { DatabaseInUse, DatabaseUnusable } from '../database/database.ts'
import type { DatabaseLog } from '../database/restores.ts'
import { openDatabase } from '../open-database.ts'
import { type Operator, operatorVerbs, type Result } from './verbs.ts'

/**
 * Opens the database as a server would, locks it while `use` runs, and closes it. Nodes on PostgreSQL are
 * notified of changes at once.
 *
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function withDatabaseOperator<T>(
  config: Config,
  log: DatabaseLog,
  passwordCost: PasswordCost | undefined,
  use: (operator: Operator) => Promise<T>,
): Promise<T> {
  // A start would create it. Here a missing file is more likely the wrong folder.
  if (!isPostgres(config.databaseUrl) && !existsSync(databaseFile(config.databaseUrl)))
    throw new DatabaseUnusable(
      `The database ${databaseFile(config.databaseUrl)} does not exist. Set DATABASE_URL, or start the server to create it.`,
    )
  let lose: (error: Error) => void = () => {}
  const lost = new Promise<never>((_, reject) => {
    lose = reject
  })
  lost.catch(() => {})
  const { database, shared } = await openDatabase(config, log, (error) => lose(error))
  try {
    // This process receives no notifications, so other nodes must not wait for it.
    await shared?.leave()
    const clock = shared?.clock ?? Date.now
    const check = (input: unknown) => bodyCheck(readContract(config), 'register')(input)
    const parts = {
      administration: new Administration(database, new Passwords(passwordCost), check, clock),
      invites: new Invites(database, clock),
    }
    const verbs = operatorVerbs(parts, () => null)
    const operator: Operator = {
      call: (verb, ...args) =>
        (verbs[verb] as (...given: typeof args) => Promise<Result<typeof verb>>)(...args),
      accounts: () => parts.administration.list(),
    }
    return await Promise.race([use(operator), lost])
  } finally {
    await database.close()
  }
}

/** Adds to DatabaseInUse which socket was tried. Returns other errors unchanged. */
export function withSocketHint(error: unknown, path: string | undefined): unknown {
  if (!(error instanceof DatabaseInUse)) return error
  const hint = path === undefined ? 'OPS_SOCKET is off.' : `No server answers at ${path} (OPS_SOCKET).`
  return new DatabaseInUse(`${error.message} ${hint}`)
}
