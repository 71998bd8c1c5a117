import type { Registrations } from '../accounts/registrations.ts'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import { addressOf } from '../limits/address.ts'
import { connectionOf } from './client-connection.ts'

/** POST /v1/register */
export const register =
  (registrations: Registrations): Handler<'register'> =>
  async (request, reply) => {
    const username = toUsername(request.body.username)
    const { password, displayName = username, invite } = request.body
    const caller = { client: connectionOf(request, reply), address: addressOf(request), trusted: false }
    const registration = { username, password, displayName }
    const createdAtMs = await registrations.open(registration, invite, caller)

    reply.code(201).header('Location', `/v1/users/${username}`)
    return { username, displayName, createdAt: timestamp(createdAtMs) }
  }
