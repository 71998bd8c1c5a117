import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'
import type { ListedAccount } from '../database/database.ts'
import { Refused } from './errors.ts'
import type { Operator } from './verbs.ts'

/** Even a busy server answers with its state within this time. */
const STATE_MS_MAX = 5_000

/** An `Operator` that calls the running server over its socket. */
export const socketOperator = (path: string): Operator => ({
  async call(verb, ...args) {
    const response = await requestFrom(path, 'POST', `/${verb}`, JSON.stringify(args))
    const body = (await json(response).catch(refuseIfCutOff)) as { detail?: string } | null
    if (response.statusCode !== 200) throw new Refused(body?.detail ?? 'The server refused the command.')
    return body as never
  },
  async *accounts() {
    const response = await requestFrom(path, 'GET', '/accounts')
    let rest = ''
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) yield JSON.parse(line) as ListedAccount
      }
    } catch (error) {
      refuseIfCutOff(error)
    }
  },
})

/** @throws Refused when the connection was cut, otherwise the error itself */
function refuseIfCutOff(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  throw new Refused(
    'The server stopped before it answered. Check whether the command took effect, then try again.',
  )
}

/** @throws Refused when the server does not know the command, or failed */
async function requestFrom(
  socketPath: string,
  method: string,
  path: string,
  body = '',
): Promise<IncomingMessage> {
  // Other commands may count many rows, or queue.
  const timeout = path === '/state' ? STATE_MS_MAX : 0
  const outgoing = request({ socketPath, method, path, agent: false, timeout })
  outgoing.once('timeout', () =>
    outgoing.destroy(new Refused(`The server at ${socketPath} does not answer.`)),
  )
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response').catch(refuseIfCutOff)) as [IncomingMessage]
  if (response.statusCode === 404 && !response.headers['content-type'])
    throw new Refused('The running server does not know this command: it has another version.')
  if (response.statusCode === 500) throw new Refused('The server failed. Its log says why.')
  return response
}
