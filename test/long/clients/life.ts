/** What an operation answered: `data` when it succeeded, `code` where the client hands over the problem. */
export interface Answer<T> {
  status: number
  data?: T | undefined
  code?: string | undefined
}

interface Message {
  seq: number
  from: string
  body: string
}

interface Page {
  messages: Message[]
  cursor: number
  hasMore: boolean
  gap?: { from: number; to: number; reason: string }
}

/** A generated client in the hands of one user. Its types must be those that a program expects. */
export interface Api {
  register(body: {
    username: string
    password: string
    displayName?: string
  }): Promise<Answer<{ username: string }>>
  login(body: {
    username: string
    password: string
    takeover?: boolean
  }): Promise<Answer<{ token: string; expiresAt: string; cursor: number; offlineMessages: Message[] }>>
  renewToken(): Promise<Answer<{ token: string }>>
  logout(): Promise<Answer<unknown>>
  sendMessage(
    body: { to: string; body: string },
    key?: string,
  ): Promise<Answer<{ id: string; delivery: string }>>
  getMessageStatus(id: string): Promise<Answer<{ state: string }>>
  readInbox(query: { after?: number; wait?: number }): Promise<Answer<Page>>
  acknowledge(body: { cursor: number }): Promise<Answer<unknown>>
  getUser(username: string): Promise<Answer<{ displayName: string; online?: boolean }>>
  listBlocks(): Promise<Answer<{ blocks: { username: string; createdAt: string }[] }>>
  block(username: string): Promise<Answer<unknown>>
  unblock(username: string): Promise<Answer<unknown>>
  changePassword(body: { current: string; new: string }): Promise<Answer<unknown>>
  deleteAccount(body: { password: string }): Promise<Answer<unknown>>
  getHealth(): Promise<Answer<{ status: string }>>
  getReadiness(): Promise<Answer<{ status: string }>>
}

/** Makes a client of a server, with a token or without. */
export type Connect = (url: string, token?: string) => Api

/** What a value is in the responses of a later version; see test/support/later-version.ts. */
const LATER = 'of_a_later_version'

/** @throws Error saying what differs */
function same(actual: unknown, expected: unknown, what: string) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== e) throw new Error(`${what}: ${a}, expected ${e}`)
}

function got<T>({ status, data, code }: Answer<T>, what: string): T {
  if (status >= 300) throw new Error(`${what}: ${status} ${code}`)
  return data as T
}

/**
 * The life of two users, from their registration to the end of one account.
 *
 * @param later whether the server's responses are those of a later version within v1
 * @throws Error at the first answer that is not what a program expects
 */
export async function live(connect: Connect, url: string, later: boolean): Promise<void> {
  const value = (now: string) => (later ? LATER : now)
  const refused = ({ status, code }: Answer<unknown>, wanted: number, name: string) => {
    same(status, wanted, name)
    if (code !== undefined) same(code, value(name), name)
  }
  const stranger = connect(url)
  got(await stranger.getHealth(), 'getHealth')
  got(await stranger.getReadiness(), 'getReadiness')

  const mark = Math.random().toString(36).slice(2, 10)
  const [ada, grace] = [`ada-${mark}`, `grace-${mark}`]
  const secret = { username: ada, password: 'analytical engine no. 1' }
  const graceSecret = { username: grace, password: 'a nanosecond of wire' }
  same(got(await stranger.register({ ...secret, displayName: 'Ada' }), 'register').username, ada, 'username')
  got(await stranger.register(graceSecret), 'register')
  refused(await stranger.register(secret), 409, 'username_taken')
  refused(await stranger.login({ ...secret, password: 'wrong' }), 401, 'invalid_credentials')
  const graceApi = connect(url, got(await stranger.login(graceSecret), 'login').token)

  // Ada is away: the message is kept for her. "Is that so?" once stopped clients for good.
  const away = got(await graceApi.sendMessage({ to: ada, body: 'Is that so?' }, `key-${mark}`), 'sendMessage')
  same(away.delivery, value('stored'), 'delivery')
  const again = got(
    await graceApi.sendMessage({ to: ada, body: 'Is that so?' }, `key-${mark}`),
    'sendMessage',
  )
  same(again.id, away.id, 'the same key')
  refused(
    await graceApi.sendMessage({ to: ada, body: 'Other' }, `key-${mark}`),
    422,
    'idempotency_key_reused',
  )
  refused(await graceApi.sendMessage({ to: `nobody-${mark}`, body: 'Hello?' }), 404, 'recipient_not_found')
  same(got(await graceApi.getMessageStatus(away.id), 'getMessageStatus').state, value('stored'), 'state')

  const session = got(await stranger.login(secret), 'login')
  same(
    session.offlineMessages.map(({ seq, from, body }) => [seq, from, body]),
    [[1, grace, 'Is that so?']],
    'mail',
  )
  same(Number.isNaN(Date.parse(session.expiresAt)), false, 'expiresAt')
  const adaApi = connect(url, session.token)
  same(got(await adaApi.getUser(grace), 'getUser').displayName, grace, 'displayName')

  // She waits for more, and acknowledges the first by that. The poll itself makes her online.
  const poll = adaApi.readInbox({ after: session.cursor, wait: 30 })
  while (got(await graceApi.getUser(ada), 'getUser').online !== true);
  const live = got(await graceApi.sendMessage({ to: ada, body: '🕰 I found a moth.' }), 'sendMessage')
  same(live.delivery, value('live'), 'delivery')
  const page = got(await poll, 'readInbox')
  same(
    page.messages.map(({ seq, body }) => [seq, body]),
    [[2, '🕰 I found a moth.']],
    'the message',
  )
  same([page.cursor, page.hasMore], [2, false], 'the page')
  same(page.gap?.reason, later ? LATER : undefined, 'the reason of the gap')
  refused(await stranger.login(secret), 409, 'already_online')

  got(await adaApi.acknowledge({ cursor: page.cursor }), 'acknowledge')
  same(got(await graceApi.getMessageStatus(live.id), 'getMessageStatus').state, value('delivered'), 'state')
  refused(await adaApi.readInbox({ after: 99, wait: 0 }), 409, 'cursor_ahead')

  got(await adaApi.block(grace), 'block')
  same(
    got(await adaApi.listBlocks(), 'listBlocks').blocks.map(({ username }) => username),
    [grace],
    'blocks',
  )
  refused(await graceApi.sendMessage({ to: ada, body: 'Hello?' }), 403, 'blocked')
  got(await adaApi.unblock(grace), 'unblock')

  const renewed = connect(url, got(await adaApi.renewToken(), 'renewToken').token)
  refused(
    await renewed.changePassword({ current: 'wrong', new: 'difference engine no. 2' }),
    403,
    'wrong_password',
  )
  got(
    await renewed.changePassword({ current: secret.password, new: 'difference engine no. 2' }),
    'changePassword',
  )
  got(await renewed.logout(), 'logout')
  refused(await renewed.readInbox({ wait: 0 }), 401, 'session_ended')
  const last = got(await stranger.login({ ...secret, password: 'difference engine no. 2' }), 'login')
  got(await connect(url, last.token).deleteAccount({ password: 'difference engine no. 2' }), 'deleteAccount')
  refused(await graceApi.getUser(ada), 404, 'user_not_found')
}
