import type { Handler } from '../contract/handler.ts'
import type { sendFrom } from './send-shared.ts'

/** POST /v1/users/{username}/messages: the whole body is the text, so a script needs only `curl -d`. */
export const sendText =
  (send: ReturnType<typeof sendFrom>): Handler<'sendText'> =>
  (request, reply) =>
    send(request, reply, { to: request.params.username, body: request.body })
