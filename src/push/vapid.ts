import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import webPush from 'web-push'
import type { KeyPair } from '../config/push.ts'

/** A key pair that identifies this server to push services (RFC 8292). */
export interface VapidKey extends KeyPair {
  /** The fingerprint of the public key. */
  id: string
}

/** The length of a fingerprint: enough to distinguish a few keys. */
const ID_LENGTH = 16

const SIGNED_MAX = 1_000

/**
 * Signatures are valid for 12 hours. Renewing them after half of that tolerates a clock that is 6 hours late.
 */
const SIGN_AGAIN_MS = 6 * 3_600_000

/**
 * The key pairs of this server. A subscription is bound to the key that it was made with. Signatures are
 * cached per service, because signing takes four times as long as encrypting.
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

  /** @returns undefined when this server no longer has the key */
  byId(id: string): VapidKey | undefined {
    return this.#keys.get(id)
  }

  /** @param origin of the endpoint, with its port unless it is 443 */
  authorization(origin: string, key: VapidKey): string {
    const cacheKey = `${key.id} ${origin}`
    const known = this.#signed.get(cacheKey)
    // The wall clock, which may be set back: the service checks against it.
    const ageMs = Date.now() - (known?.atMs ?? Number.NaN)
    if (known && ageMs >= 0 && ageMs < SIGN_AGAIN_MS) return known.authorization
    const { Authorization: authorization } = webPush.getVapidHeaders(
      origin,
      this.#subject,
      key.publicKey,
      key.privateKey,
      'aes128gcm',
    )
    this.#signed.set(cacheKey, { authorization, atMs: Date.now() })
    return authorization
  }

  /** Drops the cached signature for a service that refused it: the clock may have been wrong. */
  forget(origin: string, key: VapidKey): void {
    this.#signed.delete(`${key.id} ${origin}`)
  }
}

const withId = (pair: KeyPair): VapidKey => {
  const hash = createHash('sha256').update(Buffer.from(pair.publicKey, 'base64url'))
  return { ...pair, id: hash.digest('base64url').slice(0, ID_LENGTH) }
}
