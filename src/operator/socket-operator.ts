import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'
import type { ListedAccount } from '../database/database.ts'
import { Refused } from './mistakes.ts'
import type { Operator } from './verbs.ts'

/** To say its version a server needs a moment, however busy. */
const STATE_MS_MAX = 5_000

/** The operator's side of the server that listens on this socket. */
export const socketOperator = (path: string): Operator => ({
  async call(verb, ...args) {
    const response = await ask(path, 'POST', `/${verb}`, JSON.stringify(args))
    const body = (await json(response).catch(refuseHalf)) as { detail?: string } | null
    if (response.statusCode !== 200) throw new Refused(body?.detail ?? 'The server refused it.')
    return body as never
  },
  async *accounts() {
    const response = await ask(path, 'GET', '/accounts')
    let rest = ''
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) yield JSON.parse(line) as ListedAccount
      }
    } catch (error) {
      refuseHalf(error)
    }
  },
})

/** @throws Refused when the server ended before its answer, else what it is given */
function refuseHalf(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  throw new Refused('The server ended before it had answered. Look whether it was done, and try again.')
}

/** @throws Refused when the server does not know what it is asked, or failed */
async function ask(socketPath: string, method: string, path: string, body = ''): Promise<IncomingMessage> {
  // Everything else may have much to count, or wait for its turn.
  const timeout = path === '/state' ? STATE_MS_MAX : 0
  const asked = request({ socketPath, method, path, agent: false, timeout })
  asked.once('timeout', () => asked.destroy(new Refused(`The server at ${socketPath} hangs: no answer.`)))
  asked.end(body)
  const [response] = (await once(asked, 'response').catch(refuseHalf)) as [IncomingMessage]
  if (response.statusCode === 404 && !response.headers['content-type'])
    throw new Refused('The running server does not know this command: it is of another version.')
  if (response.statusCode === 500) throw new Refused('The server failed; its log says why.')
  return response
}
