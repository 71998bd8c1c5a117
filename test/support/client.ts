import type { components } from '../../src/generated/openapi.d.ts'
import { type MessageList, textOf } from '../../src/message-list.ts'
import { type Answer, assertInContract } from './contract-check.ts'
import { exchange } from './http.ts'

export { range } from './range.ts'

export interface RequestOptions {
  token?: string
  /** Sent as JSON; text and bytes are sent unchanged. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Talks to one server like any HTTP client, and checks every answer against the contract. */
export class Client {
  readonly url: string

  constructor({ url }: { url: string }) {
    this.url = url
  }

  async request(
    method: string,
    path: string,
    { token, body, headers, signal }: RequestOptions = {},
  ): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array
    const sent = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    }
    const content = raw || body === undefined ? body : JSON.stringify(body)
    const response = await exchange(`${this.url}${path}`, method, sent, content, signal)
    const json = /json/.test(response.headers.get('content-type') ?? '')
    const answer = {
      status: response.status,
      headers: response.headers,
      body: json ? JSON.parse(response.text) : response.text,
    }
    assertInContract(method, path, answer)
    return answer
  }

  /** Sends a plain text, with a session token or an application token. */
  sendText(token: string, to: string | Person, text: string, headers: Record<string, string> = {}) {
    const all = { 'content-type': 'text/plain', ...headers }
    return this.request('POST', `/v1/users/${nameOf(to)}/messages`, { token, body: text, headers: all })
  }

  get(path: string, options?: RequestOptions) {
    return this.request('GET', path, options)
  }

  post(path: string, body?: unknown, options?: RequestOptions) {
    return this.request('POST', path, { ...options, body })
  }

  register(username: string, password = passwordOf(username), invite?: string) {
    return this.post('/v1/register', { username, password, invite })
  }

  login(username: string, options: { password?: string; takeover?: boolean; label?: string } = {}) {
    return this.post('/v1/login', { username, password: passwordOf(username), ...options })
  }

  /** Registers an account and logs in. */
  async join(username: string): Promise<Person> {
    await this.register(username)
    return this.enter(username)
  }

  /** Logs in to a registered account. */
  async enter(username: string, options: { takeover?: boolean; label?: string } = {}): Promise<Person> {
    const { status, body } = await this.login(username, options)
    if (status !== 200) throw new Error(`${username} cannot log in: ${JSON.stringify(body)}`)
    return new Person(this, username, body.token, body.cursor)
  }
}

export interface PollOptions {
  after?: number
  wait?: number
  limit?: number
  away?: boolean
  signal?: AbortSignal
  headers?: Record<string, string>
}

/** A logged-in account. */
export class Person {
  readonly client: Client
  readonly username: string
  readonly token: string
  /** The response to the login. */
  readonly cursor: number

  constructor(client: Client, username: string, token: string, cursor: number) {
    this.client = client
    this.username = username
    this.token = token
    this.cursor = cursor
  }

  request(method: string, path: string, options: RequestOptions = {}) {
    return this.client.request(method, path, { token: this.token, ...options })
  }

  send(to: string | Person, body: string, key?: string) {
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    return this.request('POST', '/v1/messages', { body: { to: nameOf(to), body }, headers })
  }

  /** Sends several messages, one after the other, and returns their ids. */
  async sendMany(to: string | Person, count: number): Promise<string[]> {
    const ids: string[] = []
    for (let i = 1; i <= count; i++) ids.push((await this.send(to, `message ${i}`)).body.id)
    return ids
  }

  poll({ signal, headers, ...query }: PollOptions = {}) {
    const parameters = Object.entries(query).map(([name, value]) => `${name}=${value}`)
    return this.request('GET', `/v1/inbox?${parameters.join('&')}`, {
      ...(signal && { signal }),
      ...(headers && { headers }),
    })
  }

  acknowledge(cursor: number) {
    return this.request('POST', '/v1/inbox/ack', { body: { cursor } })
  }

  status(id: string) {
    return this.request('GET', `/v1/messages/${id}`)
  }

  user(username: string | Person) {
    return this.request('GET', `/v1/users/${nameOf(username)}`)
  }

  me() {
    return this.request('GET', '/v1/me')
  }

  update(changes: { displayName?: string; presence?: 'everyone' | 'nobody' }) {
    return this.request('PATCH', '/v1/me', { body: changes })
  }

  sessions() {
    return this.request('GET', '/v1/me/sessions')
  }

  endSession(id: string) {
    return this.request('DELETE', `/v1/me/sessions/${id}`)
  }

  createToken(body: Record<string, unknown> = { name: 'door bell' }) {
    return this.request('POST', '/v1/me/tokens', { body })
  }

  tokens() {
    return this.request('GET', '/v1/me/tokens')
  }

  revokeToken(id: string) {
    return this.request('DELETE', `/v1/me/tokens/${id}`)
  }

  /** @param subscription as from a browser */
  subscribe(subscription: unknown) {
    return this.request('POST', '/v1/me/push-subscriptions', { body: subscription })
  }

  subscriptions() {
    return this.request('GET', '/v1/me/push-subscriptions')
  }

  unsubscribe(id: string) {
    return this.request('DELETE', `/v1/me/push-subscriptions/${id}`)
  }

  blocks() {
    return this.request('GET', '/v1/me/blocks')
  }

  block(username: string | Person) {
    return this.request('PUT', `/v1/me/blocks/${nameOf(username)}`)
  }

  unblock(username: string | Person) {
    return this.request('DELETE', `/v1/me/blocks/${nameOf(username)}`)
  }

  logout() {
    return this.request('POST', '/v1/logout')
  }
}

const nameOf = (somebody: string | Person) => (typeof somebody === 'string' ? somebody : somebody.username)

let newcomers = 0
/** A new name, because tests share a server. */
export const newName = (name: string) => `${name}${++newcomers}`

/** Two newly logged-in accounts. */
export async function adaAndBob(server: { url: string }) {
  const client = new Client(server)
  const [ada, bob] = await Promise.all([client.join(newName('ada')), client.join(newName('bob'))])
  return { client, ada, bob }
}

export const passwordOf = (username: string) => `the password of ${username}`

/** The messages of a list. */
export const messagesIn = (list: MessageList): Message[] => JSON.parse(textOf(list))

export const seqsOf = (messages: { seq: number }[]) => messages.map(({ seq }) => seq)

/** A message as in the contract. */
export type Message = components['schemas']['Message']
