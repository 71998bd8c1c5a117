import { createECDH, randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { ClientKeys, Database, ListedSubscription } from '../database/database.ts'
import { Problem, sessionEnded } from '../problems.ts'
import { checkEndpoint, EndpointRefused } from './endpoint.ts'
import type { Vapid } from './vapid.ts'

/** The longest endpoint, because it is the key of an index. */
const ENDPOINT_LENGTH_MAX = 2_048

type SubscriptionDatabase = Pick<
  Database,
  'createPushSubscription' | 'listPushSubscriptions' | 'deletePushSubscription'
>

/** Creates, lists and ends the push subscriptions of an account. */
export class Subscriptions {
  readonly #database: SubscriptionDatabase
  readonly #keys: Vapid | undefined
  readonly #allowPrivate: boolean
  readonly #clock: Clock

  /**
   * @param keys undefined if push is off
   * @param allowPrivate whether endpoints may be in private networks
   */
  constructor(database: SubscriptionDatabase, keys: Vapid | undefined, allowPrivate: boolean, clock: Clock) {
    this.#database = database
    this.#keys = keys
    this.#allowPrivate = allowPrivate
    this.#clock = clock
  }

  /** The key that clients subscribe with; undefined if push is off. */
  get publicKey(): string | undefined {
    return this.#keys?.current.publicKey
  }

  /**
   * Registers a subscription of a session.
   *
   * @throws Problem push_disabled, invalid_request, endpoint_taken, too_many_subscriptions, session_ended
   */
  async create(session: { id: string; accountId: number }, given: ClientKeys): Promise<ListedSubscription> {
    if (!this.#keys) throw pushDisabled()
    const checked = this.#check(given)
    const outcome = await this.#database.createPushSubscription({
      ...checked,
      id: randomUUID(),
      accountId: session.accountId,
      sessionId: session.id,
      keyIds: this.#keys.ids,
      createdAtMs: this.#clock(),
    })
    if (outcome === 'session_gone') throw sessionEnded()
    if (outcome === 'endpoint_taken')
      throw new Problem(
        outcome,
        'Another account has registered this endpoint with other keys. Subscribe again.',
      )
    if (outcome === 'too_many_subscriptions')
      throw new Problem(outcome, 'This account has the maximum number of push subscriptions. End one first.')
    return outcome
  }

  /** Oldest first. */
  list(accountId: number): Promise<ListedSubscription[]> {
    return this.#database.listPushSubscriptions(accountId)
  }

  /** @throws Problem not_found */
  async end(accountId: number, id: string): Promise<void> {
    if (!(await this.#database.deletePushSubscription(accountId, id)))
      throw new Problem('not_found', 'This account has no such push subscription.')
  }

  /**
   * Validates and normalises a subscription.
   *
   * @throws Problem invalid_request
   */
  #check(given: ClientKeys): ClientKeys {
    const [p256dh, auth] = [withoutPadding(given.p256dh), withoutPadding(given.auth)]
    const errors: { pointer: string; detail: string }[] = []
    let endpoint = given.endpoint
    try {
      endpoint = checkEndpoint(given.endpoint, this.#allowPrivate).href
      if (endpoint.length > ENDPOINT_LENGTH_MAX)
        throw new EndpointRefused(`It has more than ${ENDPOINT_LENGTH_MAX} characters.`)
    } catch (error) {
      if (!(error instanceof EndpointRefused)) throw error
      errors.push({ pointer: '/endpoint', detail: error.message })
    }
    if (!isPoint(p256dh))
      errors.push({ pointer: '/keys/p256dh', detail: 'It is not a point on the curve P-256.' })
    if (errors.length === 0) return { endpoint, p256dh, auth }
    const sentences = errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`).join(' ')
    throw new Problem('invalid_request', sentences, { errors })
  }
}

export const pushDisabled = () =>
  new Problem('push_disabled', 'Push is disabled on this server. Poll instead.')

const withoutPadding = (base64url: string) => base64url.replace(/=+$/, '')

/** Whether ECDH works with this key. With an invalid one every hint would fail. */
function isPoint(p256dh: string): boolean {
  const own = createECDH('prime256v1')
  own.generateKeys()
  const key = Buffer.from(p256dh, 'base64url')
  if (key[0] !== UNCOMPRESSED) return false
  try {
    own.computeSecret(key)
    return true
  } catch {
    return false
  }
}

const UNCOMPRESSED = 4
