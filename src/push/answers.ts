import type { IncomingHttpHeaders } from 'node:http'
import type { Hint } from './hint.ts'
import { AddressRefused } from './lookup.ts'
import { encryptHint, TTL_S } from './message.ts'
import type { WayOut } from './request.ts'
import type { Vapid } from './vapid.ts'

/** What the answer of a push service means. */
export type Verdict =
  | { kind: 'sent'; ttlS: number }
  /** The subscription has ended. */
  | { kind: 'gone' }
  /** This subscription is to wait, for `waitMs` where the service says so. */
  | { kind: 'throttled'; waitMs: number | undefined }
  /** The service cannot at the moment. */
  | { kind: 'unavailable'; waitMs: number | undefined }
  /** The service does not accept this server, or not for this subscription. */
  | { kind: 'unauthorized' }
  /** The service makes nothing of the request. */
  | { kind: 'rejected' }
  /** Another try would not help. */
  | { kind: 'failed' }
  /** Its name leads inward. */
  | { kind: 'inward' }

/** What has come of an attempt, and what the service said to it, for the log. */
export type Outcome = Verdict & { reason: string }

/** Of what a service says. */
const REASON_LENGTH_MAX = 200

/** Sends a hint to a push service once. Whatever goes wrong is an outcome. */
export async function attempt(
  wayOut: WayOut,
  vapid: Vapid,
  { target, url, key, newest }: Pick<Hint, 'target' | 'url' | 'key' | 'newest'>,
): Promise<Outcome> {
  let message: ReturnType<typeof encryptHint>
  try {
    message = encryptHint(target, newest)
  } catch (error) {
    // Its keys are none, so nobody will ever read a hint.
    return { kind: 'gone', reason: reasonOf(error) }
  }
  try {
    const Authorization = vapid.authorization(url.origin, key)
    const { status, headers, body } = await wayOut.post(
      url,
      { ...message.headers, Authorization },
      message.body,
    )
    const said = body.replaceAll(/\s+/g, ' ').trim().slice(0, REASON_LENGTH_MAX)
    return { ...judge(status, headers, Date.now()), reason: [status, said].filter(Boolean).join(' ') }
  } catch (error) {
    const reason = reasonOf(error)
    return error instanceof AddressRefused
      ? { kind: 'inward', reason }
      : { kind: 'unavailable', waitMs: undefined, reason }
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** ntfy: nobody has subscribed yet. The service itself is well. */
const INSUFFICIENT_STORAGE = 507

/**
 * Judges an answer by RFC 8030 and by what services do. Windows throttles with 406; Mozilla says with 404 and
 * 410 that a subscription has ended.
 *
 * @param nowMs the time, for a date in `Retry-After`
 */
export function judge(status: number, headers: IncomingHttpHeaders, nowMs: number): Verdict {
  if (status >= 200 && status < 300) return { kind: 'sent', ttlS: grantedTtlS(headers) }
  const waitMs = retryAfterMs(headers['retry-after'], nowMs)
  switch (status) {
    case 404:
    case 410:
      return { kind: 'gone' }
    case 406:
    case 408:
    case 429:
    case INSUFFICIENT_STORAGE:
      return { kind: 'throttled', waitMs }
    case 401:
    case 403:
      return { kind: 'unauthorized' }
    case 413:
      return { kind: 'failed' }
  }
  if (status >= 500) return { kind: 'unavailable', waitMs }
  // A redirect is never followed: it could lead inward.
  return { kind: status >= 400 ? 'rejected' : 'failed' }
}

/** A service may keep a hint for a shorter time than it was asked to. */
function grantedTtlS({ ttl }: IncomingHttpHeaders): number {
  return typeof ttl === 'string' && /^\d{1,9}$/.test(ttl) ? Math.min(Number(ttl), TTL_S) : TTL_S
}

const DAY_MS = 86_400_000

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), DAY_MS)
}
