import { type Signal, signal } from '@preact/signals'
import { RestanteProblem, type Session } from 'restante-client'
import {
  askPermission,
  isPushSupported,
  permission,
  subscribeBrowser,
  unsubscribeBrowser,
} from './browser-push.ts'
import type { BrowserTab } from './browser-tab.ts'
import type { StoredText } from './session-store.ts'
import type { Notifications } from './types.ts'

export interface NotificationsParts {
  session: () => Session
  browserTab: BrowserTab
  /** The user's choice in this browser: `on`, `off`, or undefined before the first choice. */
  choice: StoredText
}

/**
 * Turns push notifications of this browser on and off. The server's key is fetched each time, because a
 * subscription for an older key is dead. The subscription is registered at each load of the page, because
 * browsers change and drop subscriptions silently.
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
    // The user may return from the browser's settings.
    this.#stopListening = parts.browserTab.on('shown', () => this.refresh())
  }

  close() {
    this.#stopListening()
  }

  /** Updates the state, after the choice or the permission may have changed. */
  refresh() {
    this.state.value = this.#currentState()
  }

  async check() {
    await this.#askForKey().catch(ignoreProblem)
  }

  /** Registers the subscription again. Called when the leading tab is connected. */
  async renew() {
    if (this.#renewed) return
    this.#renewed = true
    try {
      const publicKey = await this.#askForKey()
      if (publicKey !== undefined && this.state.value === 'on') await this.#register(publicKey)
      // It may belong to another user who was logged in here.
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
    // First, because the browser requires a recent click.
    const answer = await askPermission()
    this.refresh()
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
    // If this fails, the server ends it when the push service reports it as gone.
    if (endpoint !== undefined) await this.#unregister(endpoint).catch(ignoreProblem)
  }

  decline() {
    this.#choose('off')
  }

  #currentState() {
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
    this.refresh()
  }

  /** @returns undefined when push is off at the server */
  async #askForKey(): Promise<string | undefined> {
    const { enabled, publicKey } = await this.#parts.session().getPush()
    this.#enabled = enabled
    this.refresh()
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
