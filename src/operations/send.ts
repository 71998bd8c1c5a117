import type { FastifyReply, FastifyRequest } from 'fastify'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { DiskSpace } from '../limits/disk-space.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** A message on its way from a request into an inbox, and the answer to its sender. */
export const sendFrom =
  (inbox: Inbox, limits: RateLimits, disk: DiskSpace | undefined) =>
  async (
    request: Pick<FastifyRequest, 'account' | 'headers'>,
    reply: FastifyReply,
    { to: name, body, receipt: wantsReceipt }: { to: string; body: string; receipt?: boolean },
  ) => {
    const { account } = request
    const to = toUsername(name)
    // All that an account sends counts together, whichever of its tokens it comes with.
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

/**
 * The draft has the key as a structured-field string, in quotes; bare is what people type. Both name the same
 * key.
 */
const keyOf = (header: string | string[] | undefined) =>
  typeof header === 'string' ? header.replace(/^"(.*)"$/, '$1') : undefined
