import { hash } from '@node-rs/argon2'
import { passwordOf } from './client.ts'
import type { Sql } from './sql.ts'

/** The minimum for Argon2. A server in a process of its own uses the production parameters. */
export const PASSWORD_COST = { memoryCost: 8, timeCost: 1, parallelism: 1 }

/** Adds accounts like `register` directly to the store: a server of its own would take a second. */
export async function addAccounts(sql: Sql, ...usernames: string[]): Promise<void> {
  for (const username of usernames)
    await sql.run(
      'INSERT INTO account (username, display_name, password_hash, created_at) VALUES (?, ?, ?, ?)',
      ...[username, username, await hash(passwordOf(username), PASSWORD_COST), new Date()],
    )
}
