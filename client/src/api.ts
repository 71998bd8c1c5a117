import { type Input, OPERATIONS, type Operation, type Output } from './operations.ts'
import { type InputError, NO_ANSWER, RestanteProblem } from './problem.ts'
import { linkedController, throwIfAborted } from './wait.ts'

const TIMEOUT_MS = 30_000
const RENEWAL_PAUSE_MIN_MS = 1_000
/** A limit, because timers above 24.8 days fire at once, and a proxy may send any value. */
const RETRY_AFTER_MAX_MS = 3_600_000

export interface CallOptions {
  signal?: AbortSignal | undefined
  token?: string
  idempotencyKey?: string
  timeoutMs?: number
}

export interface Answer<T> {
  value: T
  retryAfterMs: number | undefined
}

/** Calls operations of a server, without retries. */
export class Api {
  readonly #base: string
  readonly #fetch: typeof fetch
  /** The server's clock minus ours, which may be hours wrong. The server decides what has expired. */
  #skewMs = 0

  constructor(url: string | URL, fetcher: typeof fetch | undefined) {
    this.#base = String(url).replace(/\/+$/, '')
    // Browsers require `fetch` to be called on the global object.
    this.#fetch = fetcher ?? ((input, init) => globalThis.fetch(input, init))
  }

  /** The server's time, in ms since 1970. */
  nowMs(): number {
    return Date.now() + this.#skewMs
  }

  /**
   * When to renew a token: halfway between now and its expiry, but at least a second from now, so renewals
   * never follow each other without a pause, however wrong the clocks are.
   */
  renewalMs(expiresAt: string): number {
    return Math.max((this.nowMs() + Date.parse(expiresAt)) / 2, this.nowMs() + RENEWAL_PAUSE_MIN_MS)
  }

  /**
   * @throws RestanteProblem when the request is refused, or no response comes
   * @throws the reason of the signal
   */
  async call<O extends Operation>(
    operation: O,
    input?: Input<O>,
    options: CallOptions = {},
  ): Promise<Answer<Output<O>>> {
    const [method = '', path = ''] = OPERATIONS[operation].split(' ')
    const members = (input ?? {}) as Record<string, unknown>
    const address =
      this.#base + path.replace(/\{(\w+)\}/, (_, name) => encodeURIComponent(`${members[name]}`))
    const plain = path.includes('{')
    const query = method === 'GET' && !plain ? queryOf(members) : ''
    const hasBody = method !== 'GET' && !plain && input !== undefined
    const { token, idempotencyKey } = options
    const init: RequestInit = {
      method,
      headers: {
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(hasBody && { 'Content-Type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
      },
      ...(hasBody && { body: JSON.stringify(input) }),
      ...CACHE,
    }
    const { response, text } = await this.#exchange(address + query, init, options)
    return this.#answer<Output<O>>(response, text)
  }

  async #exchange(address: string, init: RequestInit, { signal, timeoutMs = TIMEOUT_MS }: CallOptions) {
    throwIfAborted(signal)
    // A signal per request, because listeners would pile up on a long-lived one.
    const { controller, unlink } = linkedController(signal)
    const timer = setTimeout(() => controller.abort(), timeoutMs)
    try {
      const response = await this.#fetch(address, { ...init, signal: controller.signal })
      return { response, text: await response.text() }
    } catch (cause) {
      throwIfAborted(signal)
      throw noAnswer(0, 'There was no response.', { cause })
    } finally {
      clearTimeout(timer)
      unlink()
    }
  }

  #answer<T>({ ok, status, headers }: Response, text: string): Answer<T> {
    const dateMs = Date.parse(headers.get('Date') ?? '')
    if (!Number.isNaN(dateMs)) this.#skewMs = dateMs - Date.now()
    const retryAfterMs = retryAfterOf(headers.get('Retry-After'))
    const json = jsonOf(text)
    if (ok && (status === 204 || json)) return { value: json as T, retryAfterMs }

    const { code, detail, errors, cursor } = (json ?? {}) as Partial<RestanteProblem>
    // From a proxy, or the login page of a hotel's network.
    if (ok || typeof code !== 'string')
      throw noAnswer(status, `The response with status ${status} is not from Restante.`, { retryAfterMs })
    throw new RestanteProblem({
      code,
      status,
      detail: String(detail ?? code),
      ...(errors && { errors: errors as InputError[] }),
      ...(cursor !== undefined && { cursor }),
      retryAfterMs,
      requestId: headers.get('X-Request-Id') ?? undefined,
    })
  }
}

/**
 * Without it, Chromium delays a second request for a URL until the first is answered, because it could be
 * cached. React Native's fetch would append `_=<time>` to the URL.
 */
const isReactNative =
  (globalThis as { navigator?: { product?: string } }).navigator?.product === 'ReactNative'
const CACHE = isReactNative ? {} : ({ cache: 'no-store' } as const)

function queryOf(members: Record<string, unknown>): string {
  const parts = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(`${value}`)}`],
  )
  return parts.length > 0 ? `?${parts.join('&')}` : ''
}

function jsonOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterOf(header: string | null): number | undefined {
  if (header === null) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS)
}

const noAnswer = (
  status: number,
  detail: string,
  more: { cause?: unknown; retryAfterMs?: number | undefined },
) => new RestanteProblem({ code: NO_ANSWER, status, detail, ...more })
