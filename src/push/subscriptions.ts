import { createECDH, randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { ClientKeys, Database, ListedSubscription } from '../database/database.ts'
import { Problem, sessionEnded } from '../problems.ts'
import { checkEndpoint, EndpointRefused } from './endpoint.ts'
import type { Vapid } from './vapid.ts'

/** Of an endpoint as it is written out: it is the key of an index. */
const ENDPOINT_LENGTH_MAX = 2_048

type SubscriptionDatabase = Pick<
  Database,
  'createPushSubscription' | 'listPushSubscriptions' | 'deletePushSubscription'
>

/** The push subscriptions of an account, as their owner sees, makes and ends them. */
export class Subscriptions {
  readonly #database: SubscriptionDatabase
  readonly #keys: Vapid | undefined
  readonly #allowPrivate: boolean
  readonly #clock: Clock

  /**
   * @param keys undefined where nobody is woken
   * @param allowPrivate whether endpoints may be in private networks
   */
  constructor(database: SubscriptionDatabase, keys: Vapid | undefined, allowPrivate: boolean, clock: Clock) {
    this.#database = database
    this.#keys = keys
    this.#allowPrivate = allowPrivate
    this.#clock = clock
  }

  /** The key that clients subscribe with; undefined where nobody is woken. */
  get publicKey(): string | undefined {
    return this.#keys?.current.publicKey
  }

  /**
   * Has a session woken from now on.
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
      throw new Problem(outcome, 'Another account has this endpoint, with other keys. Subscribe anew.')
    if (outcome === 'too_many_subscriptions')
      throw new Problem(outcome, 'This account has as many push subscriptions as it may. End some.')
    return outcome
  }

  /** The oldest first. */
  list(accountId: number): Promise<ListedSubscription[]> {
    return this.#database.listPushSubscriptions(accountId)
  }

  /** @throws Problem not_found */
  async end(accountId: number, id: string): Promise<void> {
    if (!(await this.#database.deletePushSubscription(accountId, id)))
      throw new Problem('not_found', 'This account has no such push subscription, or not any more.')
  }

  /**
   * What is stored of a subscription.
   *
   * @throws Problem invalid_request
   */
  #check(given: ClientKeys): ClientKeys {
    const [p256dh, auth] = [withoutPadding(given.p256dh), withoutPadding(given.auth)]
    const faults: { pointer: string; detail: string }[] = []
    let endpoint = given.endpoint
    try {
      endpoint = checkEndpoint(given.endpoint, this.#allowPrivate).href
      if (endpoint.length > ENDPOINT_LENGTH_MAX)
        throw new EndpointRefused(`It has more than ${ENDPOINT_LENGTH_MAX} characters.`)
    } catch (error) {
      if (!(error instanceof EndpointRefused)) throw error
      faults.push({ pointer: '/endpoint', detail: error.message })
    }
    if (!isPoint(p256dh))
      faults.push({ pointer: '/keys/p256dh', detail: 'It is no point on the curve P-256.' })
    if (faults.length === 0) return { endpoint, p256dh, auth }
    const sentences = faults.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`).join(' ')
    throw new Problem('invalid_request', sentences, { errors: faults })
  }
}

export const pushDisabled = () => new Problem('push_disabled', 'This server wakes nobody by push. Poll.')

const withoutPadding = (base64url: string) => base64url.replace(/=+$/, '')

/** Whether a secret can be agreed on with that key: one that is none would fail with every hint. */
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
