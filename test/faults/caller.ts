import { Client, passwordOf } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { gotNoAnswer } from '../support/http.ts'
import type { Cluster } from './cluster.ts'
import type { ClientRequest, Exchange, Outcome } from './history.ts'
import type { Recorder } from './recorder.ts'

/** How long a client waits for an answer, in addition to the wait that it request for. */
const PATIENCE_MS = 30_000

/** A session of a client. */
export interface Session {
  name: string
  token: string
  /** The response to the login. */
  cursor: number
}

/** Makes requests for accounts, each to a random node, and records them. */
export class Caller {
  readonly #cluster: Cluster
  readonly #recorder: Recorder
  /** Per account, so that its sessions have the same names whenever a run is repeated. */
  readonly #logins = new Map<string, number>()

  constructor(cluster: Cluster, recorder: Recorder) {
    this.#cluster = cluster
    this.#recorder = recorder
  }

  /** Resolves with the session, if there is one now. */
  async login(account: string, takeover: boolean, random: number): Promise<Session | undefined> {
    let answer: Answer | undefined
    const logins = (this.#logins.get(account) ?? 0) + 1
    this.#logins.set(account, logins)
    const name = `${account}#${logins}`
    const { outcome } = await this.#exchange(
      { account, session: undefined },
      { kind: 'login', takeover },
      random,
      undefined,
      (given) => {
        answer = given
      },
      () => name,
    )
    if (outcome.status !== 200 || !answer) return undefined
    return { name, token: answer.body.token, cursor: answer.body.cursor }
  }

  /** @param stopping aborts the request */
  call(
    account: string,
    { name, token }: Session,
    request: ClientRequest,
    random: number,
    stopping?: AbortSignal,
  ): Promise<Exchange> {
    return this.#exchange({ account, session: name, token }, request, random, stopping)
  }

  async #exchange(
    { account, session, token }: { account: string; session: string | undefined; token?: string },
    request: ClientRequest,
    random: number,
    stopping?: AbortSignal,
    onAnswer?: (answer: Answer) => void,
    nameSession?: () => string,
  ): Promise<Exchange> {
    const node = await this.#cluster.choose(random)
    const waitMs = request.kind === 'poll' ? request.waitMs : 0
    const patience = AbortSignal.timeout(waitMs + PATIENCE_MS)
    const signal = stopping ? AbortSignal.any([patience, stopping]) : patience
    const run = async () => {
      try {
        const [method, path, options] = requestFor(account, request)
        const answer = await new Client(node).request(method, path, {
          ...options,
          ...(token !== undefined && { token }),
          signal,
        })
        onAnswer?.(answer)
        return toOutcome(request, answer)
      } catch (error) {
        return withoutAnswer(error as Error)
      }
    }
    return this.#recorder.exchange({ account, session, node: node.name }, request, run, nameSession)
  }
}

type Options = NonNullable<Parameters<Client['request']>[2]>

function requestFor(
  account: string,
  request: ClientRequest,
): [method: string, path: string, options: Options] {
  switch (request.kind) {
    case 'send': {
      const { to, body, key, receipt } = request
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      return ['POST', '/v1/messages', { body: { to, body, ...(receipt && { receipt }) }, headers }]
    }
    case 'poll': {
      const { after, waitMs } = request
      const from = after === undefined ? '' : `&after=${after}`
      return ['GET', `/v1/inbox?wait=${waitMs / 1_000}${from}`, {}]
    }
    case 'acknowledge':
      return ['POST', '/v1/inbox/ack', { body: { cursor: request.cursor } }]
    case 'login': {
      const body = { username: account, password: passwordOf(account), takeover: request.takeover }
      return ['POST', '/v1/login', { body }]
    }
    case 'logout':
      return ['POST', '/v1/logout', {}]
  }
}

function toOutcome({ kind }: ClientRequest, { status, body }: Answer): Outcome {
  if (status >= 400) return { status, code: body.code }
  if (kind === 'send') return { status, id: body.id }
  if (kind !== 'poll' && kind !== 'login') return { status }
  const messages: { seq: number; id: string }[] = kind === 'poll' ? body.messages : body.offlineMessages
  const page = {
    messages: messages.map(({ seq, id }) => ({ seq, id })),
    cursor: body.cursor,
    gap: body.gap !== undefined,
  }
  return { status, page }
}

/** Responses outside the contract are recorded as they are. */
function withoutAnswer(error: Error & { code?: string }): Outcome {
  if (gotNoAnswer(error)) return { status: 0, code: error.code ?? '' }
  return { status: -1, code: error.message }
}
