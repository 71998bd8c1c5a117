import { hash } from '@node-rs/argon2'
import { passwordOf } from './client.ts'
import type { Sql } from './sql.ts'

/** The least that Argon2 takes. A server that is a process of its own has what the program has. */
export const PASSWORD_COST = { memoryCost: 8, timeCost: 1, parallelism: 1 }

/** Accounts as `register` makes them, straight into the store: a server of its own would take a second. */
export async function addAccounts(sql: Sql, ...usernames: string[]): Promise<void> {
  for (const username of usernames)
    await sql.run(
      'INSERT INTO account (username, display_name, password_hash, created_at) VALUES (?, ?, ?, ?)',
      ...[username, username, await hash(passwordOf(username), PASSWORD_COST), new Date()],
    )
}
