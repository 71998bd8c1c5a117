import assert from 'node:assert/strict'
import type { BrowserContext, CDPSession, Page } from 'playwright-core'
import { eventually } from './eventually.ts'
import type { PushService, Subscription } from './push-service.ts'

/** The globals that functions in the page use. */
declare const window: {
  navigator: {
    serviceWorker: {
      ready: Promise<{ getNotifications(): Promise<{ title: string; tag: string; data: unknown }[]> }>
    }
  }
}

/** Replaces the browser's push service, which is on the internet. Its state is here, for all tabs. */
const STUB = `{
  const subscriptionOf = (kept) => kept && {
    endpoint: kept.endpoint,
    options: {
      userVisibleOnly: true,
      applicationServerKey: Uint8Array.from(
        atob(kept.applicationServerKey.replaceAll('-', '+').replaceAll('_', '/')),
        (sign) => sign.charCodeAt(0),
      ).buffer,
    },
    toJSON: () => ({ endpoint: kept.endpoint, expirationTime: null, keys: kept.keys }),
    unsubscribe: async () => { await stubbedPush('unsubscribe'); return true },
  }
  const ask = async (...call) => subscriptionOf(await stubbedPush(...call)) ?? null
  if (globalThis.PushManager) {
    PushManager.prototype.getSubscription = () => ask('get')
    PushManager.prototype.subscribe = ({ applicationServerKey }) => ask('subscribe', applicationServerKey)
  }
  if (globalThis.Notification) Notification.requestPermission = () => stubbedPush('permission')
}`

/** The push service of a browser, and the user's answers. */
export class BrowserPush {
  readonly #context: BrowserContext
  readonly #origin: string
  readonly #service: PushService
  #tools: CDPSession | undefined
  subscription: (Subscription & { applicationServerKey: string }) | undefined
  /** How often the page has subscribed. */
  subscribed = 0
  /** How often the user was asked. */
  asked = 0
  /** The user's answer. */
  answer: 'granted' | 'denied' | 'default' = 'granted'
  /** Whether it is offline: nothing is answered. */
  hangs = false

  private constructor(context: BrowserContext, origin: string, service: PushService) {
    this.#context = context
    this.#origin = origin
    this.#service = service
  }

  /** @param service the push service for subscriptions */
  static async of(context: BrowserContext, url: string, service: PushService) {
    const push = new BrowserPush(context, new URL(url).origin, service)
    await context.exposeFunction('stubbedPush', (what: string, key?: string) => push.#answer(what, key))
    await context.addInitScript(STUB)
    return push
  }

  get endpoint() {
    return this.subscription?.endpoint
  }

  /** The hints that the server has sent to this subscription. */
  hints() {
    return this.#service.received.filter(({ endpoint }) => endpoint === this.endpoint)
  }

  async #answer(what: string, applicationServerKey = '') {
    if (what === 'permission') return this.#ask()
    if (what === 'subscribe') {
      if (this.hangs) return new Promise(() => {})
      this.subscribed++
      this.subscription = { ...this.#service.subscribe(), applicationServerKey }
    }
    if (what === 'unsubscribe') this.subscription = undefined
    return this.subscription
  }

  async #ask() {
    this.asked++
    const setting = { granted: 'granted', denied: 'denied', default: 'prompt' } as const
    await this.setPermission(setting[this.answer])
    return this.answer
  }

  /** It lasts as long as the first page of the browser. */
  async setPermission(setting: 'granted' | 'denied' | 'prompt') {
    const [page] = this.#context.pages()
    assert.ok(page)
    this.#tools ??= await this.#context.newCDPSession(page)
    const { targetInfo } = await this.#tools.send('Target.getTargetInfo')
    const { browserContextId } = targetInfo
    await this.#tools.send('Browser.setPermission', {
      origin: this.#origin,
      permission: { name: 'notifications' },
      setting,
      ...(browserContextId !== undefined && { browserContextId }),
    })
  }
}

/** The service worker of a page, seen from the tools of the browser. */
export class WorkerTools {
  readonly #session: CDPSession
  readonly #page: Page
  #registrationId = ''

  private constructor(session: CDPSession, page: Page) {
    this.#session = session
    this.#page = page
  }

  static async of(page: Page) {
    const tools = new WorkerTools(await page.context().newCDPSession(page), page)
    tools.#session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      tools.#registrationId = registrations.at(-1)?.registrationId ?? ''
    })
    await tools.#session.send('ServiceWorker.enable')
    await eventually('the worker is registered', () => tools.#registrationId !== '')
    return tools
  }

  /** Delivers a push, as if the browser's push service had. */
  async push(data: string, origin = new URL(this.#page.url()).origin) {
    const registrationId = this.#registrationId
    await this.#session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data })
  }

  notifications() {
    return this.#page.evaluate(async () => {
      const { serviceWorker } = window.navigator
      const shown = await (await serviceWorker.ready).getNotifications()
      return shown.map(({ title, tag, data }) => ({ title, tag, data }))
    })
  }
}
