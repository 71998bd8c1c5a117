import type { ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { DatabaseUnavailable } from '../database/database.ts'
import { Problem } from '../problems.ts'
import type { Route, Routes } from './listener.ts'
import { type OperatorParts, operatorVerbs, type ServerState } from './verbs.ts'

/** Lines of a list that are written at once. */
const LINES = 200

/**
 * What the command `restante` asks a running server. Only that: scripts use the command, whose output is
 * documented.
 */
export function commandRoutes(parts: OperatorParts, state: () => ServerState): Routes {
  const verbs = Object.entries(operatorVerbs(parts, state)) as [string, Verb][]
  const routes = verbs.map(([name, verb]): [string, Route] => [`POST /${name}`, routeOf(verb)])
  const list: Route = async (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    let lines: string[] = []
    for await (const account of parts.administration.list()) {
      lines.push(`${JSON.stringify(account)}\n`)
      if (lines.length < LINES) continue
      await written(response, lines.join(''))
      if (response.destroyed) return
      lines = []
    }
    response.end(lines.join(''))
  }
  return Object.fromEntries([...routes, ['GET /accounts', list]])
}

type Verb = (...args: unknown[]) => Promise<unknown>

/** Arguments come as a JSON array. */
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

/** Resolves when the reader has room for more, or is gone. */
async function written(response: ServerResponse, lines: string) {
  if (response.write(lines) || response.destroyed) return
  await new Promise<void>((resolve) => {
    const go = () => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.on('drain', go)
    response.on('close', go)
  })
}
