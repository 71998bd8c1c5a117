import type { OutgoingHttpHeaders } from 'node:http'
import webPush from 'web-push'
import type { PushTarget } from './hint.ts'

/** How long a push service is to keep a hint for a device that is off, in seconds. */
export const TTL_S = 86_400

/** Characters of every hint: those of the longest number fit. */
const HINT_LENGTH = 48

/** A push service keeps one message of a topic per subscription, the newest. Apple wants letters only. */
const TOPIC = 'messages'

/**
 * What the receiver gets to read, as JSON. It has neither a sender nor a text, and one length, because the
 * push service sees that of what is encrypted: spaces behind JSON mean nothing.
 */
export const hintOf = (newest: number): string =>
  JSON.stringify({ type: 'message', newest }).padEnd(HINT_LENGTH)

/** A hint, encrypted for its receiver (RFC 8291), and the headers of its request (RFC 8030). */
export function encryptHint(
  { p256dh, auth }: Pick<PushTarget, 'p256dh' | 'auth'>,
  newest: number,
): { headers: OutgoingHttpHeaders; body: Buffer } {
  const { cipherText: body } = webPush.encrypt(p256dh, auth, hintOf(newest), 'aes128gcm')
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
