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
 * Asked before each wait for another try, and again before that try.
 *
 * @param forMs how long the hint is not to be sent by anybody else
 * @returns false when the hint is no longer due, because its session has read meanwhile
 */
export type KeepHint = (forMs: number) => Promise<boolean>

/** What sends hints. */
export interface PushServices {
  /**
   * Resolves when the hint is sent, given up, or dropped for want of room; never rejects.
   *
   * @param newest the number of the newest message
   * @param keep without it a hint is due until it is given up
   */
  send: (target: PushTarget, newest: number, keep?: KeepHint) => Promise<PushResult>
  /** Ends what is under way; what was not sent is `failed`. */
  close: () => Promise<void>
}
