import { type Signal, signal } from '@preact/signals'
import { RestanteProblem, type Session } from 'restante-client'
import {
  askPermission,
  isPushSupported,
  permission,
  subscribeBrowser,
  unsubscribeBrowser,
} from './browser-push.ts'
import type { KeptText } from './session-store.ts'
import type { Surroundings } from './surroundings.ts'
import type { Notifications } from './types.ts'

export interface NotificationsParts {
  session: () => Session
  surroundings: Surroundings
  /** What the user wants in this browser: `on`, `off`, or nothing while that is not known. */
  choice: KeptText
}

/**
 * Has the push service of the browser wake this device. The server is asked for its key each time, because
 * a subscription for an older one is dead. It learns of the subscription at each load of the page, because
 * browsers change and forget subscriptions without a word.
 */
export class BrowserNotifications implements Notifications {
  readonly state: Signal<Notifications['state']['value']> = signal('unknown')
  readonly failure = signal<RestanteProblem>()
  readonly #parts: NotificationsParts
  readonly #stopListening: () => void
  #enabled: boolean | undefined
  #renewed = false

  constructor(parts: NotificationsParts) {
    this.#parts = parts
    // The user may come back from the settings of the browser.
    this.#stopListening = parts.surroundings.on('shown', () => this.look())
  }

  close() {
    this.#stopListening()
  }

  /** The choice, or the permission, may have changed. */
  look() {
    this.state.value = this.#look()
  }

  async check() {
    await this.#askForKey().catch(ignoreProblem)
  }

  /** The connection of the leading tab works. */
  async renew() {
    if (this.#renewed) return
    this.#renewed = true
    try {
      const publicKey = await this.#askForKey()
      if (publicKey !== undefined && this.state.value === 'on') await this.#register(publicKey)
      // Of somebody else, who was logged in here before.
      else await unsubscribeBrowser()
      this.failure.value = undefined
    } catch (error) {
      this.#renewed = false
      if (!(error instanceof RestanteProblem)) throw error
      this.failure.value = error
    }
  }

  async subscriptionChanged() {
    this.#renewed = false
    await this.renew()
  }

  async turnOn() {
    // Before anything else: the click must be a moment ago.
    const answer = await askPermission()
    this.look()
    if (answer === 'denied') return
    if (answer !== 'granted')
      throw new RestanteProblem({ code: 'push_dismissed', status: 0, detail: 'No permission was given.' })
    const publicKey = await this.#askForKey()
    if (publicKey === undefined) return
    await this.#register(publicKey)
    this.#choose('on')
  }

  async turnOff() {
    this.#choose('off')
    const endpoint = await unsubscribeBrowser()
    // What the server does not end now, it ends when the push service says that it is gone.
    if (endpoint !== undefined) await this.#unregister(endpoint).catch(ignoreProblem)
  }

  decline() {
    this.#choose('off')
  }

  #look() {
    if (this.#enabled === undefined) return 'unknown'
    if (!this.#enabled) return 'disabled'
    if (!isPushSupported()) return 'unsupported'
    if (permission() === 'denied') return 'blocked'
    const choice = this.#parts.choice.get()
    if (choice === undefined) return 'undecided'
    return choice === 'on' && permission() === 'granted' ? 'on' : 'off'
  }

  #choose(choice: 'on' | 'off') {
    this.#parts.choice.set(choice)
    this.failure.value = undefined
    this.look()
  }

  /** @returns nothing when the server does not push */
  async #askForKey(): Promise<string | undefined> {
    const { enabled, publicKey } = await this.#parts.session().getPush()
    this.#enabled = enabled
    this.look()
    return enabled ? publicKey : undefined
  }

  async #register(publicKey: string) {
    await this.#parts.session().subscribe(await subscribeBrowser(publicKey))
  }

  async #unregister(endpoint: string) {
    const session = this.#parts.session()
    const subscription = (await session.listSubscriptions()).find((known) => known.endpoint === endpoint)
    if (subscription) await session.unsubscribe(subscription.id)
  }
}

function ignoreProblem(error: unknown) {
  if (!(error instanceof RestanteProblem)) throw error
}
