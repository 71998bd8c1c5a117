import { randomInt } from 'node:crypto'
import type { LateHandler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { InboxPage } from '../inbox/inbox-page.ts'
import { connectionOf } from './client-connection.ts'

/** Below the idle timeout of proxies and home routers, 60 s, and RFC 6202 §5.5's advice of 30 s. */
const WAIT_SECONDS_DEFAULT = 25
const WAIT_SECONDS_MAX = 55

/** When a server stops, clients reconnect spread over this many seconds. */
const RETURN_SECONDS_MAX = 5

/** GET /v1/inbox: the long poll. */
export const readInbox =
  (inbox: Inbox): LateHandler<'readInbox'> =>
  (request, reply) => {
    const { session, tokenExpiresAtMs } = request.identity
    const { after, wait, limit = 100, away = false } = request.query
    const preferred = wait === undefined ? preferredWait(request.headers['prefer']) : undefined
    if (preferred !== undefined) reply.header('Preference-Applied', `wait=${preferred}`)
    const waitMs = (wait ?? preferred ?? WAIT_SECONDS_DEFAULT) * 1_000
    const connection = connectionOf(request, reply)

    const poll = { after, limit, away, waitMs, tokenExpiresAtMs, connection, response: reply.raw }
    inbox.read(session, poll, (answer) => {
      try {
        if (answer instanceof Error) throw answer
        if (answer.closing)
          reply.header('Connection', 'close').header('Retry-After', randomInt(1, RETURN_SECONDS_MAX + 1))
        reply.type('application/json; charset=utf-8').send(toJson(answer))
      } catch (error) {
        reply.send(error)
      }
    })
  }

/** Inserts the messages as JSON: parsing and serialising a page takes longer than reading it. */
function toJson({ messages: { json }, cursor, hasMore, gap }: InboxPage): string | Buffer {
  const [beginning, rest] = ['{"messages":', `,${JSON.stringify({ cursor, hasMore, gap }).slice('{'.length)}`]
  if (typeof json === 'string') return beginning + json + rest
  return Buffer.concat([Buffer.from(beginning), json, Buffer.from(rest)])
}

/** RFC 7240 §4.3: `Prefer: wait=N`, one preference among others. */
function preferredWait(header: string | string[] | undefined): number | undefined {
  const [, seconds] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec(String(header ?? '')) ?? []
  return seconds === undefined ? undefined : Math.min(Number(seconds), WAIT_SECONDS_MAX)
}
