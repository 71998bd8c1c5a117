import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Histogram } from '../histogram.ts'
import { type ProblemCode, problemCodes } from '../problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The operation of the contract that a route carries out. */
    operationId?: string
  }
  interface FastifyRequest {
    /** When its headers were read, in ms on the monotonic clock; 0 when it was refused before. */
    startedAtMs: number
  }
}

/** Sends take milliseconds, polls up to 55 s. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** The pages at / and /docs with their files, and openapi.yaml. */
const PAGE = 'page'
/** Paths and methods that are not there, and what cannot be read as a request. */
const UNKNOWN = 'unknown'

const SENDS = ['sendMessage', 'sendText']

/** The answers to one operation. */
class AnswerCounts {
  readonly byStatus = new Map<number, number>()
  readonly seconds = new Histogram(SECONDS)

  count(status: number, startedAtMs: number) {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1)
    if (startedAtMs > 0) this.seconds.observe((performance.now() - startedAtMs) / 1_000)
  }
}

/** Counts what is answered, for the metrics. */
export class RequestCounts {
  /** By operation of the contract, besides `page` and `unknown`. */
  readonly operations = new Map<string, AnswerCounts>()
  readonly refusedSends = new Map<ProblemCode, number>(problemCodes.map((code) => [code, 0]))
  /** Cursors of valid tokens that were beyond the inbox: after a restore that left no mark there are many. */
  cursorAhead = 0

  /** Counts every answer of an app, whose routes come after this. */
  watch(app: FastifyInstance): void {
    const unknown = this.#of(UNKNOWN)
    app.decorateRequest('startedAtMs', 0)
    app.addHook('onRequest', (request, _reply, done) => {
      request.startedAtMs = performance.now()
      done()
    })
    app.addHook('onSend', (request, reply, payload, done) => {
      if (request.is404) unknown.count(reply.statusCode, request.startedAtMs)
      done(null, payload)
    })
    // A hook for each route: to find the operation of a request takes longer than to count it.
    app.addHook('onRoute', (route) => {
      const counts = this.#of(route.config?.operationId ?? PAGE)
      const hooks = [route.onSend ?? []].flat()
      route.onSend = [
        ...hooks,
        (request, reply, payload, done) => {
          counts.count(reply.statusCode, request.startedAtMs)
          done(null, payload)
        },
      ]
    })
  }

  /** Counts an answer to what is no readable request. */
  countUnreadable(status: number): void {
    this.#of(UNKNOWN).count(status, 0)
  }

  /** Counts a problem by its code, where that matters. Its status is counted with all others. */
  countProblem(request: FastifyRequest, code: ProblemCode): void {
    if (code === 'cursor_ahead') this.cursorAhead += 1
    if (!SENDS.includes(request.routeOptions.config.operationId ?? '')) return
    this.refusedSends.set(code, (this.refusedSends.get(code) ?? 0) + 1)
  }

  #of(operation: string): AnswerCounts {
    const counts = this.operations.get(operation) ?? new AnswerCounts()
    this.operations.set(operation, counts)
    return counts
  }
}
