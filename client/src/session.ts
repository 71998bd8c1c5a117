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

/** A session of a user. Each method throws RestanteProblem when the request is refused. */
export class Session {
  readonly #api: Api
  readonly #store: Store | undefined
  readonly #state: StoredSession
  readonly #alarm = new Alarm()
  readonly #inbox: Inbox
  #ended: RestanteProblem | undefined
  #renewing = false
  #saving: Promise<unknown> = Promise.resolve()

  /** Called by `login` and `resume`. */
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
   * The messages: first those that arrived while the user was offline, then each as it arrives. A message is
   * acknowledged when the loop asks for the next one, so a loop that ends by `break` or an error gets its
   * last message again. Ends when the signal aborts. One loop at a time.
   *
   * @throws RestanteProblem when the session is over (`session_ended`, `invalid_token`)
   */
  inbox(options: InboxOptions = {}): AsyncGenerator<Message, void, void> {
    return this.#inbox.messages(options)
  }

  /** Ends all pauses and retries at once: when an app comes to the front, or the user clicks "Try now". */
  wake(): void {
    this.#alarm.ring()
  }

  /**
   * Sends a message. Repeats the request with the same key until there is a response, so it arrives once.
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

  /** Creates an application token, which can only send. Only this response contains `token`. */
  createToken(token: Input<'createToken'>) {
    return this.call('createToken', token)
  }

  revokeToken(id: string) {
    return this.call('revokeToken', { id })
  }

  /** Whether the server has push, and the key that a browser subscribes with. */
  getPush() {
    return this.call('getPush')
  }

  /**
   * Has the server wake a device by push when a message arrives while this session is not online. Takes a
   * browser's `PushSubscription`, or an endpoint with its keys. Call it at every start, because it also
   * renews.
   */
  subscribe(subscription: Input<'createPushSubscription'> | { toJSON(): unknown }) {
    // `toJSON` is applied when the request is serialised.
    return this.call('createPushSubscription', subscription as Input<'createPushSubscription'>)
  }

  async listSubscriptions() {
    return (await this.call('listPushSubscriptions')).subscriptions
  }

  /** Ends a subscription. It also ends with its session. */
  unsubscribe(id: string) {
    return this.call('deletePushSubscription', { id })
  }

  changePassword(passwords: Input<'changePassword'>) {
    return this.call('changePassword', passwords)
  }

  /** Deletes the account and all its data for good. */
  async deleteAccount(password: string) {
    await this.call('deleteAccount', { password })
    await this.#end(endedHere('The account is deleted.'))
  }

  /** Ends the session. The messages of the login count as acknowledged, finished or not. */
  async logout() {
    await this.call('logout')
    await this.#end(endedHere('Logged out.'))
  }

  /** Calls any operation of the contract once. `input` has the members of its path, query and body. */
  async call<O extends Operation>(operation: O, input?: Input<O>): Promise<Output<O>> {
    return (await this.#call(operation, input)).value
  }

  async #save(): Promise<void> {
    const store = this.#store
    if (!store) return
    const saving = this.#saving.then(() => store.save(this.#ended ? undefined : { ...this.#state }))
    // A failed save does not block the next one.
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
        // The token was renewed during this request.
        if (token !== this.#state.token && !this.#ended)
          return this.#api.call(operation, input, { ...options, token: this.#state.token })
        await this.#end(error)
      }
      throw error
    }
  }

  /** Not awaited: the old token stays valid until it expires. */
  #renewIfDue() {
    if (this.#ended || this.#renewing || this.#state.renewAtMs > this.#api.nowMs()) return
    this.#renewing = true
    // A failing store is reported when the next message is finished.
    void this.#renew()
      .catch(() => {})
      .finally(() => {
        this.#renewing = false
      })
  }

  /** If it fails, it is tried again later. */
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

  /** Ends the session and all waits. */
  async #end(reason: RestanteProblem) {
    if (this.#ended) return
    this.#ended = reason
    this.#alarm.ring(true)
    await this.#save()
  }
}

const endedHere = (detail: string) => new RestanteProblem({ code: 'session_ended', status: 401, detail })
