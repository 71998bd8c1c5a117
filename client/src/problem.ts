/** An invalid value in a request: its JSON Pointer, and what is wrong. */
export interface InputError {
  pointer: string
  detail: string
}

/** The members of a problem document and of its response. */
export interface ProblemParts {
  code: string
  /** The HTTP status; 0 without a response. */
  status: number
  detail: string
  errors?: InputError[]
  retryAfterMs?: number | undefined
  requestId?: string | undefined
  /** With `cursor_ahead`: the newest `seq` of the inbox. */
  cursor?: number
  cause?: unknown
}

/**
 * Why a request failed. Decide by `code`, and for an unknown code by `status`. The code `no_answer` is the
 * library's own: no response came in time, or it was not from Restante.
 */
export class RestanteProblem extends Error {
  override readonly name = 'RestanteProblem'
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly errors: InputError[]
  /** How long the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined
  /** The ID of the request in the server's log. */
  readonly requestId: string | undefined
  readonly cursor: number | undefined

  constructor({ code, status, detail, errors = [], retryAfterMs, requestId, cursor, cause }: ProblemParts) {
    super(`${code}: ${detail}`, { cause })
    this.code = code
    this.status = status
    this.detail = detail
    this.errors = errors
    this.retryAfterMs = retryAfterMs
    this.requestId = requestId
    this.cursor = cursor
  }
}

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): error is RestanteProblem {
  if (!(error instanceof RestanteProblem)) return false
  return error.code === NO_ANSWER || error.status === 408 || error.status === 429 || error.status >= 500
}

/** Whether the server says that the token is invalid. A 401 from a proxy has no code of Restante. */
export const endsSession = (error: unknown): error is RestanteProblem =>
  error instanceof RestanteProblem && error.status === 401 && error.code !== NO_ANSWER

export const NO_ANSWER = 'no_answer'
