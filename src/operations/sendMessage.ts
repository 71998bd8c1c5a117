import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { DiskSpace } from '../limits/disk-space.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** POST /v1/messages: accepted means durable; the answer comes after the commit. */
export const sendMessage =
  (inbox: Inbox, limits: RateLimits, disk: DiskSpace | undefined): Handler<'sendMessage'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { body, receipt: wantsReceipt = false } = request.body
    const to = request.body.to.toLowerCase()
    limits.take('sends', session.accountId)
    limits.take('sentBytes', session.accountId, Buffer.byteLength(body))
    disk?.refuseWhenShort()

    const idempotencyKey = keyOf(request.headers['idempotency-key'])
    const sending = { sender: session, to, body, wantsReceipt, idempotencyKey }
    const receipt = await inbox.append(sending)

    if (receipt.replayed) reply.header('Idempotent-Replayed', 'true')
    reply.code(201).header('Location', `/v1/messages/${receipt.id}`)
    const sentAt = timestamp(receipt.sentAtMs)
    return { id: receipt.id, to, sentAt, delivery: receipt.live ? 'live' : 'stored' }
  }

/**
 * The draft has the key as a structured-field string, in quotes; bare is what people type. Both name the same
 * key.
 */
const keyOf = (header: string | string[] | undefined) =>
  typeof header === 'string' ? header.replace(/^"(.*)"$/, '$1') : undefined
