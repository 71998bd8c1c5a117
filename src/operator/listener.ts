import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname, resolve } from 'node:path'
import { ConfigurationError } from '../config.ts'
import { makePrivateSocket } from '../private-files.ts'
import { isAnswered } from './place.ts'

/** Answers one kind of request. What it throws is logged, and answered with 500. */
export type Route = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** By method and path, such as `GET /metrics`. */
export type Routes = Readonly<Record<string, Route>>

export interface ListenerLog {
  error: (error: unknown, message: string) => void
}

/** Commands that are under way at the end have so long; they take milliseconds. */
const CUT_OFF_MS = 2_000

/** An HTTP server for the operator of this one, which does not listen yet. */
export function operatorServer(routes: Routes, log: ListenerLog): Server {
  return createServer((request, response) => {
    const name = `${request.method} ${request.url}`
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined
    if (!route) return void response.writeHead(404).end()
    route(request, response).catch((error: unknown) => {
      log.error(error, `${name} failed.`)
      if (response.headersSent) response.destroy()
      else response.writeHead(500).end()
    })
  })
}

/**
 * Listens on a socket in the file system, which our user alone can connect to. A socket that a killed server
 * has left there is replaced.
 *
 * @throws ConfigurationError when another process listens there, or the folder is missing
 * @throws UnsafeFile when there is something else, or a socket of another user
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  const folder = dirname(resolve(path))
  if (!existsSync(folder)) throw new ConfigurationError([`OPS_SOCKET: There is no folder ${folder}.`])
  if (await isAnswered(path))
    throw new ConfigurationError([`OPS_SOCKET: Another process listens on ${path}. Name another place.`])
  rmSync(path, { force: true })
  makePrivateSocket(() => server.listen(path))
  await once(server, 'listening')
}

/** Finishes what is under way. A socket goes from the file system. */
export async function closeOperatorServer(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  const cutOff = setTimeout(() => server.closeAllConnections(), CUT_OFF_MS)
  server.close()
  await closed
  clearTimeout(cutOff)
}
