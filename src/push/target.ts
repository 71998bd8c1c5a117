/** A subscription to send a hint to, as its browser or distributor gave it. */
export interface PushTarget {
  id: string
  endpoint: string
  /** The public key of the receiver: 65 bytes in base64url. */
  p256dh: string
  /** The secret of the receiver: 16 bytes in base64url. */
  auth: string
  /** That of the VAPID key that the subscription was made with. */
  keyId: string
}

export type PushResult =
  /** The push service took it, and keeps it for this long. */
  | { kind: 'sent'; ttlS: number }
  /** The subscription has ended, or never was one: delete it. */
  | { kind: 'gone' }
  /** Given up, stale, or no room: the next message tries again. */
  | { kind: 'failed' }
  /** The push service refuses this server (key, subject, clock): the subscription stays. */
  | { kind: 'refused' }

/**
 * Asked before every try that does not come at once.
 *
 * @param forMs how long that try takes at most: nobody else should send the hint meanwhile
 * @returns false when the hint is no longer due: its session has read, or another node has taken it over
 */
export type KeepHint = (forMs: number) => Promise<boolean>

/** What sends hints. */
export interface PushServices {
  /**
   * Resolves when the hint is sent, given up, or dropped for want of room; never rejects. That may take an
   * hour. One that waits already for the same target goes out once, with what was given last. One that is
   * under way is followed by another one: its receiver may have read before it asks again.
   *
   * @param newest the number of the newest message
   * @param keep without it a hint is due until it is given up
   */
  send: (target: PushTarget, newest: number, keep?: KeepHint) => Promise<PushResult>
  /** Ends what is under way; what was not sent is `failed`. */
  close: () => Promise<void>
}
