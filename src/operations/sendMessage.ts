import type { Handler } from '../contract/handler.ts'
import type { sendFrom } from './send-shared.ts'

/** POST /v1/messages: answers after the commit, so accepted means durable. */
export const sendMessage =
  (send: ReturnType<typeof sendFrom>): Handler<'sendMessage'> =>
  (request, reply) =>
    send(request, reply, request.body)
