import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Connection } from '../inbox/connection.ts'

/**
 * What closes when the client has gone: the response, or the socket while the response waits behind another
 * one on the same connection (pipelining). The request does not do: it closes as soon as it is read.
 */
export const connectionOf = (
  { raw }: Pick<FastifyRequest, 'raw'>,
  reply: Pick<FastifyReply, 'raw'>,
): Connection => (reply.raw.socket ? reply.raw : raw.socket)
