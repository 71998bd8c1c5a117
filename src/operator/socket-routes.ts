import type { ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { DatabaseUnavailable } from '../database/database.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { sendText } from '../metrics/metrics-server.ts'
import { Problem } from '../problems.ts'
import type { Route, Routes } from './socket-server.ts'
import { type OperatorServices, operatorVerbs, type ServerState } from './verbs.ts'

/** How many lines of a list are written at once. */
const LINES_AT_ONCE = 200

/** The routes of the command `restante`. They are private to it: scripts use the command. */
export function commandRoutes(parts: OperatorServices, state: () => ServerState): Routes {
  const verbs = Object.entries(operatorVerbs(parts, state)) as [string, Verb][]
  const routes = verbs.map(([name, verb]): [string, Route] => [`POST /${name}`, routeOf(verb)])
  const list: Route = async (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    let lines: string[] = []
    for await (const account of parts.administration.list()) {
      lines.push(`${JSON.stringify(account)}\n`)
      if (lines.length < LINES_AT_ONCE) continue
      await writeAll(response, lines.join(''))
      if (response.destroyed) return
      lines = []
    }
    response.end(lines.join(''))
  }
  return Object.fromEntries([...routes, ['GET /accounts', list]])
}

/** `GET /metrics` on the socket. */
export const metricsRoutes = (metrics: Metrics): Routes => ({
  'GET /metrics': async (_request, response) => sendText(response, 200, await metrics.text()),
})

type Verb = (...args: unknown[]) => Promise<unknown>

/** Takes the arguments as a JSON array. */
function routeOf(verb: Verb): Route {
  return async (request, response) => {
    const args = (await json(request)) as unknown[]
    try {
      answer(response, 200, (await verb(...args)) ?? null)
    } catch (error) {
      if (!(error instanceof Problem || error instanceof DatabaseUnavailable)) throw error
      answer(response, error instanceof Problem ? error.status : 503, { detail: error.message })
    }
  }
}

function answer(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

/** Resolves when the response can take more, or is closed. */
async function writeAll(response: ServerResponse, lines: string) {
  if (response.write(lines) || response.destroyed) return
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
