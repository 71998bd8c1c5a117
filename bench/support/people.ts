import { createHmac } from 'node:crypto'

/** What the servers of a run sign with, so that tokens can be made without 19 000 logins. */
export const JWT_SECRET = 'a secret of more than 32 bytes used by benchmarks alone'

const YEAR_SECONDS = 31_536_000

/** Somebody with an account and a session. */
export interface Person {
  username: string
  token: string
}

/** Names are of equal length, so that every request has the same number of bytes. */
export const usernameOf = (index: number) => `u${String(index).padStart(NAME_DIGITS, '0')}`
export const sessionIdOf = (index: number) => `s${String(index).padStart(21, '0')}`
export const NAME_DIGITS = 6

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The person of that number, with a token like those that a login gives. */
export function person(index: number): Person {
  const username = usernameOf(index)
  const iat = Math.floor(Date.now() / 1_000)
  const claims = {
    sub: username,
    sid: sessionIdOf(index),
    exp: iat + YEAR_SECONDS,
    iat,
    iss: 'restante',
    aud: 'restante',
  }
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`
  return {
    username,
    token: `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`,
  }
}

export const people = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => person(from + index))

/** The same for the broker, which has no accounts: a name is all that it takes. */
export const named = (index: number): Person => ({ username: usernameOf(index), token: usernameOf(index) })
