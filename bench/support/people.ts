import { createHmac } from 'node:crypto'
import { hash } from '@node-rs/argon2'
import type { Sql } from '../../test/support/sql.ts'

/** The signing secret of all servers of a run, so that tokens can be made without 19 000 logins. */
export const JWT_SECRET = 'a secret of more than 32 bytes used by benchmarks alone'

/** The password of every account. */
export const PASSWORD = 'correct horse battery staple'

const YEAR_SECONDS = 31_536_000

/** Rows of one statement: SQLite takes 32 766 parameters. */
const ROWS = 1_000

/** A person with an account and a session. */
export interface Person {
  username: string
  token: string
}

/** Names are of equal length, so that every request has the same number of bytes. */
export const usernameOf = (index: number) => `u${String(index).padStart(6, '0')}`

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The person with that number, with a token like that of a login. */
export function person(index: number): Person {
  const username = usernameOf(index)
  const iat = Math.floor(Date.now() / 1_000)
  // The session of addPeople.
  const sid = `s${String(index).padStart(21, '0')}`
  const claims = { sub: username, sid, exp: iat + YEAR_SECONDS, iat, iss: 'restante', aud: 'restante' }
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`
  return {
    username,
    token: `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`,
  }
}

export const people = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => person(from + index))

/** The same for the broker, which has no accounts and takes a name as the token. */
export const named = (index: number): Person => ({ username: usernameOf(index), token: usernameOf(index) })

/** Writes the first `count` people, with a session each, into a migrated database. */
export async function addPeople(sql: Sql, count: number): Promise<void> {
  const now = new Date()
  // As the server hashes them: src/accounts/passwords.ts.
  const passwordHash = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  for (let from = 0; from < count; from += ROWS) {
    const names = Array.from({ length: Math.min(ROWS, count - from) }, (_, index) => usernameOf(from + index))
    await sql.run(
      `INSERT INTO account (username, display_name, password_hash, created_at)
       VALUES ${names.map(() => '(?, ?, ?, ?)').join(', ')}`,
      ...names.flatMap((name) => [name, name, passwordHash, now]),
    )
  }
  await sql.run(
    `INSERT INTO session (id, account_id, created_at, expires_at, acknowledged_seq, offered_seq)
     SELECT 's000000000000000' || substr(username, 2), id, ?, ?, 0, 0 FROM account ORDER BY id`,
    ...[now, new Date(now.getTime() + 1_000 * YEAR_SECONDS)],
  )
}
