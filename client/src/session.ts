import type { Api, CallOptions } from './api.ts'
import { Inbox, type InboxOptions } from './inbox.ts'
import type { Input, Message, Operation, Output } from './operations.ts'
import { endsSession, RestanteProblem } from './problem.ts'
import { repeat } from './repeat.ts'
import { newKey, REPEATS_MAX_MS, type SendOptions } from './send.ts'
import type { Store, StoredSession } from './store.ts'
import { Alarm } from './wait.ts'

const RENEWAL_TIMEOUT_MS = 10_000
const RENEWAL_PAUSE_MAX_MS = 30_000
const RENEWAL_PAUSE_MIN_MS = 1_000

/** Somebody who is logged in. Each method throws RestanteProblem when it is refused. */
export class Session {
  readonly #api: Api
  readonly #store: Store | undefined
  readonly #state: StoredSession
  readonly #alarm = new Alarm()
  readonly #inbox: Inbox
  #ended: RestanteProblem | undefined
  #renewing = false
  #saving: Promise<unknown> = Promise.resolve()

  /** Made by `login` and `resume`. */
  constructor(api: Api, store: Store | undefined, state: StoredSession) {
    this.#api = api
    this.#store = store
    this.#state = { ...state }
    this.#inbox = new Inbox({
      state: this.#state,
      alarm: this.#alarm,
      save: () => this.#save(),
      call: (operation, input, options) => this.#call(operation, input, options),
      renewalInMs: () => this.#state.renewAtMs - api.nowMs(),
    })
  }

  get username(): string {
    return this.#state.username
  }

  get displayName(): string {
    return this.#state.displayName
  }

  /** Why the session is over, once it is. */
  get ended(): RestanteProblem | undefined {
    return this.#ended
  }

  /**
   * The messages, those first that came while nobody was there, then each as it comes. One is acknowledged
   * when the loop asks for the next: a loop that is left by `break` or an error gets its last message again.
   * Ends when the signal aborts. One loop at a time.
   *
   * @throws RestanteProblem when the session is over (`session_ended`, `invalid_token`)
   */
  inbox(options: InboxOptions = {}): AsyncGenerator<Message, void, void> {
    return this.#inbox.messages(options)
  }

  /** Ends all pauses and asks again at once: when an app comes to the front, or somebody clicks "Try now". */
  wake(): void {
    this.#alarm.ring()
  }

  /**
   * Sends a message, and repeats the request with one key until there is an answer, so it arrives once.
   *
   * @throws RestanteProblem when it is refused, such as `recipient_not_found`, `blocked` or `inbox_full`
   */
  send(
    to: string,
    body: string,
    { receipt, idempotencyKey = newKey(), signal }: SendOptions = {},
  ): Promise<Output<'sendMessage'>> {
    const message = { to, body, ...(receipt !== undefined && { receipt }) }
    const options = { idempotencyKey, signal }
    return repeat(async () => (await this.#call('sendMessage', message, options)).value, {
      signal,
      alarm: this.#alarm,
      untilMs: Date.now() + REPEATS_MAX_MS,
    })
  }

  /** Whether a message that was sent or received here is `stored`, `delivered` or `expired`. */
  getMessageStatus(id: string) {
    return this.call('getMessageStatus', { id })
  }

  getUser(username: string) {
    return this.call('getUser', { username })
  }

  getMe() {
    return this.call('getMe')
  }

  async updateMe(changes: Input<'updateMe'>) {
    const me = await this.call('updateMe', changes)
    this.#state.displayName = me.displayName
    await this.#save()
    return me
  }

  async listSessions() {
    return (await this.call('listSessions')).sessions
  }

  endSession(id: string) {
    return this.call('endSession', { id })
  }

  async listBlocks() {
    return (await this.call('listBlocks')).blocks
  }

  block(username: string) {
    return this.call('block', { username })
  }

  unblock(username: string) {
    return this.call('unblock', { username })
  }

  async listTokens() {
    return (await this.call('listTokens')).tokens
  }

  /** Makes an application token, which only sends. `token` is in this answer and never again. */
  createToken(token: Input<'createToken'>) {
    return this.call('createToken', token)
  }

  revokeToken(id: string) {
    return this.call('revokeToken', { id })
  }

  /** Whether the server wakes devices, and the key with which a browser subscribes. */
  getPush() {
    return this.call('getPush')
  }

  /**
   * Has a device woken when a message comes while this session does not receive. Takes a browser's
   * `PushSubscription`, or an endpoint with its keys. Call it at each start, because it also renews.
   */
  subscribe(subscription: Input<'createPushSubscription'> | { toJSON(): unknown }) {
    // It becomes JSON with the request.
    return this.call('createPushSubscription', subscription as Input<'createPushSubscription'>)
  }

  async listSubscriptions() {
    return (await this.call('listPushSubscriptions')).subscriptions
  }

  /** Ends a subscription. The end of its session does it, too. */
  unsubscribe(id: string) {
    return this.call('deletePushSubscription', { id })
  }

  changePassword(passwords: Input<'changePassword'>) {
    return this.call('changePassword', passwords)
  }

  /** Deletes the account and all that it has, for ever. */
  async deleteAccount(password: string) {
    await this.call('deleteAccount', { password })
    await this.#end(endedHere('The account is deleted.'))
  }

  /** Ends the session, here and at the server. What the login gave counts as read, used or not. */
  async logout() {
    await this.call('logout')
    await this.#end(endedHere('Logged out.'))
  }

  /** Any operation of the contract, tried once. `input` has the members of its path, query and body. */
  async call<O extends Operation>(operation: O, input?: Input<O>): Promise<Output<O>> {
    return (await this.#call(operation, input)).value
  }

  async #save(): Promise<void> {
    const store = this.#store
    if (!store) return
    const saving = this.#saving.then(() => store.save(this.#ended ? undefined : { ...this.#state }))
    // The next one is tried whatever became of this one.
    this.#saving = saving.catch(() => {})
    await saving
  }

  async #call<O extends Operation>(operation: O, input?: Input<O>, options: CallOptions = {}) {
    this.#renewIfDue()
    if (this.#ended) throw this.#ended
    const { token } = this.#state
    try {
      return await this.#api.call(operation, input, { ...options, token })
    } catch (error) {
      if (endsSession(error)) {
        // It was renewed while this request was on its way.
        if (token !== this.#state.token && !this.#ended)
          return this.#api.call(operation, input, { ...options, token: this.#state.token })
        await this.#end(error)
      }
      throw error
    }
  }

  /** Nothing waits for it: the old token stays good until it expires. */
  #renewIfDue() {
    if (this.#ended || this.#renewing || this.#state.renewAtMs > this.#api.nowMs()) return
    this.#renewing = true
    // A store that fails tells it when the next message is finished.
    void this.#renew()
      .catch(() => {})
      .finally(() => {
        this.#renewing = false
      })
  }

  /** One that fails is tried again later. */
  async #renew() {
    const state = this.#state
    try {
      const options = { token: state.token, timeoutMs: RENEWAL_TIMEOUT_MS }
      const { token, expiresAt } = (await this.#api.call('renewToken', undefined, options)).value
      Object.assign(state, { token, expiresAt, renewAtMs: this.#api.renewalMs(expiresAt) })
    } catch (error) {
      if (endsSession(error)) return this.#end(error)
      const { retryAfterMs = 0 } = error as RestanteProblem
      const leftMs = Date.parse(state.expiresAt) - this.#api.nowMs()
      const pauseMs = Math.min(Math.max(leftMs / 4, RENEWAL_PAUSE_MIN_MS), RENEWAL_PAUSE_MAX_MS)
      state.renewAtMs = this.#api.nowMs() + Math.max(pauseMs, retryAfterMs)
      return
    }
    await this.#save()
  }

  /** All waits end at once. */
  async #end(reason: RestanteProblem) {
    if (this.#ended) return
    this.#ended = reason
    this.#alarm.ring(true)
    await this.#save()
  }
}

const endedHere = (detail: string) => new RestanteProblem({ code: 'session_ended', status: 401, detail })
