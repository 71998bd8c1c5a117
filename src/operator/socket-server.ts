import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname, resolve } from 'node:path'
import { ConfigurationError } from '../config.ts'
import { makePrivateSocket } from '../private-files.ts'
import { isListening } from './socket-path.ts'

/** Answers one kind of request. An error is logged and answered with 500. */
export type Route = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** Keyed by method and path, such as `GET /metrics`. */
export type Routes = Readonly<Record<string, Route>>

export interface ListenerLog {
  error: (error: unknown, message: string) => void
}

/** How long a close waits for running commands, which take milliseconds. */
const CUT_OFF_MS = 2_000

/** Makes the HTTP server for the operator's commands. It does not listen yet. */
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
 * Listens on a Unix socket that only our user can connect to. Replaces a socket that a killed server has
 * left.
 *
 * @throws ConfigurationError when another process listens there, or the folder is missing
 * @throws UnsafeFile when the path is no socket, or belongs to another user
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  const folder = dirname(resolve(path))
  if (!existsSync(folder)) throw new ConfigurationError([`OPS_SOCKET: The folder ${folder} does not exist.`])
  if (await isListening(path))
    throw new ConfigurationError([`OPS_SOCKET: Another process listens on ${path}. Choose another path.`])
  rmSync(path, { force: true })
  makePrivateSocket(() => server.listen(path))
  await once(server, 'listening')
}

/** Finishes running commands and removes the socket. */
export async function closeOperatorServer(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  const cutOff = setTimeout(() => server.closeAllConnections(), CUT_OFF_MS)
  server.close()
  await closed
  clearTimeout(cutOff)
}
