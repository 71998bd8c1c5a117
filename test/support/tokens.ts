import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** The claims of a valid token of this service; a forger changes one of them. */
export interface Forgery {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  secret: string
  hash?: 'sha256' | 'sha512'
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Makes a token like anybody could who knows the format. */
export function forge({ header, claims, secret, hash = 'sha256' }: Forgery): string {
  const content = `${base64url({ alg: 'HS256', typ: 'JWT', ...header })}.${base64url(claims)}`
  return `${content}.${createHmac(hash, secret).update(content).digest('base64url')}`
}

/** The claims of a token. */
export const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** Looks like an application token of this server, but was never issued. */
export function forgedApplicationToken(n = 1): string {
  const secret = n.toString(16).padStart(64, '0')
  return `rst_${secret}${crc32(secret).toString(16).padStart(8, '0')}`
}
