import type { FastifyReply, FastifyRequest } from 'fastify'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { DiskSpace } from '../limits/disk-space.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** Handles sendMessage and sendText: limits, append, response. */
export const sendFrom =
  (inbox: Inbox, limits: RateLimits, disk: DiskSpace | undefined) =>
  async (
    request: Pick<FastifyRequest, 'account' | 'headers'>,
    reply: FastifyReply,
    { to: name, body, receipt: wantsReceipt }: { to: string; body: string; receipt?: boolean },
  ) => {
    const { account } = request
    const to = toUsername(name)
    // Per account, whichever token is used.
    limits.take('sends', account.accountId)
    limits.take('sentBytes', account.accountId, Buffer.byteLength(body))
    disk?.refuseWhenShort()

    const idempotencyKey = keyOf(request.headers['idempotency-key'])
    const sent = await inbox.append({ sender: account, to, body, wantsReceipt, idempotencyKey })

    if (sent.replayed) reply.header('Idempotent-Replayed', 'true')
    reply.code(201).header('Location', `/v1/messages/${sent.id}`)
    const sentAt = timestamp(sent.sentAtMs)
    const delivery: 'live' | 'stored' = sent.live ? 'live' : 'stored'
    return { id: sent.id, to, sentAt, delivery }
  }

/** The Idempotency-Key draft quotes the key, people omit the quotes. Both mean the same key. */
const keyOf = (header: string | string[] | undefined) =>
  typeof header === 'string' ? header.replace(/^"(.*)"$/, '$1') : undefined
