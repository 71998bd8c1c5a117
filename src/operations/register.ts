import type { Accounts } from '../accounts/accounts.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import { addressKey, type RateLimits } from '../limits/rate-limits.ts'
import { connectionOf } from './connection.ts'

/** POST /v1/register */
export const register =
  (accounts: Accounts, limits: RateLimits): Handler<'register'> =>
  async (request, reply) => {
    const username = request.body.username.toLowerCase()
    const { password, displayName = username } = request.body
    limits.take('registrationsFromAddress', addressKey(request.ip))

    const client = connectionOf(request, reply)
    const createdAtMs = await accounts.register({ username, password, displayName }, client)

    reply.code(201).header('Location', `/v1/users/${username}`)
    return { username, displayName, createdAt: timestamp(createdAtMs) }
  }
