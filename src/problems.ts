/** Optional members and headers of a problem. */
export interface ProblemExtras {
  /** Invalid parts of the input, by JSON pointer (RFC 6901). */
  errors?: { pointer: string; detail: string }[]
  /** The newest `seq` of the inbox, with `cursor_ahead`. */
  cursor?: number
  /** Sent as `Retry-After`, in whole seconds. */
  retryAfterSeconds?: number
  /** Sent as `Allow` (RFC 9110 §15.5.6). */
  allow?: string
}

/** Every problem code with its status. Clients decide by the code, so its meaning never changes. */
const statuses = {
  invalid_request: 400,
  invalid_credentials: 401,
  invalid_token: 401,
  session_ended: 401,
  account_disabled: 403,
  blocked: 403,
  insufficient_scope: 403,
  invalid_invite: 403,
  push_disabled: 403,
  registration_closed: 403,
  wrong_password: 403,
  not_found: 404,
  recipient_not_found: 404,
  user_not_found: 404,
  method_not_allowed: 405,
  already_online: 409,
  cursor_ahead: 409,
  endpoint_taken: 409,
  inbox_full: 409,
  too_many_blocks: 409,
  too_many_subscriptions: 409,
  too_many_tokens: 409,
  too_many_unread: 409,
  username_taken: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
  rate_limited: 429,
  too_many_attempts: 429,
  internal_error: 500,
  overloaded: 503,
} as const satisfies Record<string, number>

export type ProblemCode = keyof typeof statuses

export const problemCodes = Object.keys(statuses) as ProblemCode[]

/** An error that is sent as a problem document (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly status: number
  readonly extras: ProblemExtras

  /**
   * @param detail one sentence about this occurrence, for the caller; it must not contain a secret
   */
  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail)
    this.code = code
    this.status = statuses[code]
    this.extras = extras
  }

  /** The members of the document. */
  toJSON() {
    const { errors, cursor } = this.extras
    return {
      type: `urn:restante:problem:${this.code}`,
      title: this.code.charAt(0).toUpperCase() + this.code.slice(1).replaceAll('_', ' '),
      status: this.status,
      detail: this.message,
      code: this.code,
      ...(errors && { errors }),
      ...(cursor !== undefined && { cursor }),
    }
  }
}

/**
 * The server cannot do this now. A later attempt may succeed.
 *
 * @param detail what is missing
 */
export const overloaded = (detail: string, retryAfterSeconds = 1) =>
  new Problem('overloaded', detail, { retryAfterSeconds })

/** Too many requests. */
export function tooEarly(code: 'rate_limited' | 'too_many_attempts', waitMs: number): Problem {
  const retryAfterSeconds = Math.ceil(waitMs / 1_000)
  return new Problem(code, `Try again in ${retryAfterSeconds} s.`, { retryAfterSeconds })
}

/** @param detail completes "The body …": "is not UTF-8" */
export const invalidBody = (detail: string) =>
  new Problem('invalid_request', `The body ${detail}.`, { errors: [{ pointer: '', detail }] })

export const userNotFound = (username: string) =>
  new Problem('user_not_found', `There is no user ${username}.`)

/** For an unknown name, a wrong password, or one that has just been changed. */
export const invalidCredentials = () =>
  new Problem('invalid_credentials', 'The username or the password is wrong.')

const DISABLED = 'This account is disabled. Ask the operator of this server.'

/** Sent only after the right password. */
export const accountDisabled = () => new Problem('account_disabled', DISABLED)

export const registrationClosed = () =>
  new Problem('registration_closed', 'This server does not accept new accounts.')

/** For an invite that is missing, unknown, expired, used up or revoked. */
export const invalidInvite = () =>
  new Problem('invalid_invite', 'Registration requires a valid invite. Ask for a new one.')

export const invalidToken = (detail: string) => new Problem('invalid_token', detail)

/** For an expired token, also when it expires during a parked poll. */
export const tokenExpired = () => invalidToken('The token has expired. Log in again.')

/** Whether a session has ended; `disabled` when its account was disabled. */
export type SessionEnd = boolean | 'disabled'

/** The session has ended. */
export const sessionEnded = (end: SessionEnd = true) =>
  new Problem('session_ended', end === 'disabled' ? DISABLED : 'This session has ended. Log in again.')
