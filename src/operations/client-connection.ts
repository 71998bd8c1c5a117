import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ClientConnection } from '../inbox/connection.ts'

/**
 * The stream that closes when the client is gone: the response, or the socket while the response is queued
 * behind another one (pipelining). Not the request, which closes as soon as it is read.
 */
export const connectionOf = (
  { raw }: Pick<FastifyRequest, 'raw'>,
  reply: Pick<FastifyReply, 'raw'>,
): ClientConnection => (reply.raw.socket ? reply.raw : raw.socket)
