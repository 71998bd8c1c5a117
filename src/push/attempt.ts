/** One attempt to send a hint: encrypts and signs it, sends it, and judges the response. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import webPush from 'web-push'
import type { Hint, PushTarget } from './hint.ts'
import type { HttpsClient } from './https-client.ts'
import { AddressRefused } from './lookup.ts'
import type { Vapid } from './vapid.ts'

/** How long a push service should keep a hint for a device that is off, in seconds. */
const TTL_S = 86_400

/** The length of every hint, in characters. The longest seq fits. */
const HINT_LENGTH = 48

/** A push service keeps only the newest message per topic. Apple accepts letters only. */
const TOPIC = 'messages'

/**
 * The plaintext of a hint, as JSON. It names no sender and no text. It is padded with spaces to one length,
 * because the push service sees the length of the ciphertext.
 */
export const hintText = (newestSeq: number): string =>
  JSON.stringify({ type: 'message', newest: newestSeq }).padEnd(HINT_LENGTH)

/** The request of a hint: its headers (RFC 8030) and its encrypted body (RFC 8291). */
export function encryptHint(
  { p256dh, auth }: Pick<PushTarget, 'p256dh' | 'auth'>,
  newestSeq: number,
): { headers: OutgoingHttpHeaders; body: Buffer } {
  const { cipherText: body } = webPush.encrypt(p256dh, auth, hintText(newestSeq), 'aes128gcm')
  return {
    headers: {
      TTL: TTL_S,
      Urgency: 'high',
      Topic: TOPIC,
      'Content-Type': 'application/octet-stream',
      'Content-Encoding': 'aes128gcm',
      'Content-Length': body.length,
    },
    body,
  }
}

/** What the response of a push service means. */
export type Verdict =
  | { kind: 'sent'; ttlS: number }
  /** The subscription has ended. */
  | { kind: 'gone' }
  /** Do not send to this subscription for a while, for `waitMs` if the service says so. */
  | { kind: 'throttled'; waitMs: number | undefined }
  /** The service is down. */
  | { kind: 'unavailable'; waitMs: number | undefined }
  /** The service refuses this server, or refuses it for this subscription. */
  | { kind: 'unauthorized' }
  /** The service does not understand the request. */
  | { kind: 'rejected' }
  /** A retry would not help. */
  | { kind: 'failed' }
  /** The name resolves to a private address. */
  | { kind: 'inward' }

/** The outcome of an attempt, with the service's explanation for the log. */
export type Outcome = Verdict & { reason: string }

/** The longest explanation that is logged. */
const REASON_LENGTH_MAX = 200

/** Sends a hint to a push service once. Never rejects: failures are outcomes. */
export async function attempt(
  httpsClient: HttpsClient,
  vapid: Vapid,
  { target, url, key, newestSeq }: Pick<Hint, 'target' | 'url' | 'key' | 'newestSeq'>,
): Promise<Outcome> {
  let message: ReturnType<typeof encryptHint>
  try {
    message = encryptHint(target, newestSeq)
  } catch (error) {
    // The keys are invalid, so no hint can ever be read.
    return { kind: 'gone', reason: reasonOf(error) }
  }
  try {
    const Authorization = vapid.authorization(url.origin, key)
    const { status, headers, body } = await httpsClient.post(
      url,
      { ...message.headers, Authorization },
      message.body,
    )
    const explanation = body.replaceAll(/\s+/g, ' ').trim().slice(0, REASON_LENGTH_MAX)
    return { ...judge(status, headers, Date.now()), reason: [status, explanation].filter(Boolean).join(' ') }
  } catch (error) {
    const reason = reasonOf(error)
    return error instanceof AddressRefused
      ? { kind: 'inward', reason }
      : { kind: 'unavailable', waitMs: undefined, reason }
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** From ntfy: nobody has subscribed yet. The service itself is fine. */
const INSUFFICIENT_STORAGE = 507

/**
 * Judges a response by RFC 8030 and by what services do: Windows throttles with 406; Mozilla reports an ended
 * subscription with 404 or 410.
 *
 * @param nowMs the current time, for a date in `Retry-After`
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

/** A service may keep a hint for a shorter time than requested. */
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
