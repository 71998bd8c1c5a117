import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import webPush from 'web-push'
import type { KeyPair } from '../config/push.ts'

/** A key pair by which push services know this server (RFC 8292). */
export interface VapidKey extends KeyPair {
  /** The fingerprint of the public key. */
  id: string
}

/** Characters of a fingerprint: enough to tell a few keys apart. */
const ID_LENGTH = 16

const SIGNED_MAX = 1_000

/** The library signs for 12 hours, so that a clock that is late by half a day does not matter. */
const SIGN_AGAIN_MS = 6 * 3_600_000

/**
 * The keys of this server: a subscription holds for the one that it was made with. Signs for push services,
 * once for many requests to one, because signing takes four times as long as encrypting.
 */
export class Vapid {
  /** The key for new subscriptions. */
  readonly current: VapidKey
  readonly #keys: ReadonlyMap<string, VapidKey>
  readonly #subject: string
  readonly #signed = new LRUCache<string, { authorization: string; atMs: number }>({ max: SIGNED_MAX })

  /** @param pairs the first is for new subscriptions */
  constructor(pairs: readonly [KeyPair, ...KeyPair[]], subject: string) {
    const [first, ...others] = pairs
    this.current = withId(first)
    this.#keys = new Map([this.current, ...others.map(withId)].map((key) => [key.id, key]))
    this.#subject = subject
  }

  /** The current one first. */
  get ids(): [string, ...string[]] {
    return [this.current.id, ...this.#keys.keys()]
  }

  /** @returns undefined when this server has that key no longer */
  byId(id: string): VapidKey | undefined {
    return this.#keys.get(id)
  }

  /** @param origin that of the endpoint, its port with it where it is not 443 */
  authorization(origin: string, key: VapidKey): string {
    const about = `${key.id} ${origin}`
    const known = this.#signed.get(about)
    // The wall clock, which may be set back: the service compares with it.
    const ageMs = Date.now() - (known?.atMs ?? Number.NaN)
    if (known && ageMs >= 0 && ageMs < SIGN_AGAIN_MS) return known.authorization
    const { Authorization: authorization } = webPush.getVapidHeaders(
      origin,
      this.#subject,
      key.publicKey,
      key.privateKey,
      'aes128gcm',
    )
    this.#signed.set(about, { authorization, atMs: Date.now() })
    return authorization
  }

  /** Signs anew for a service that has refused: the clock may have been wrong. */
  forget(origin: string, key: VapidKey): void {
    this.#signed.delete(`${key.id} ${origin}`)
  }
}

const withId = (pair: KeyPair): VapidKey => {
  const hash = createHash('sha256').update(Buffer.from(pair.publicKey, 'base64url'))
  return { ...pair, id: hash.digest('base64url').slice(0, ID_LENGTH) }
}
