import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Histogram } from '../histogram.ts'
import { type ProblemCode, problemCodes } from '../problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The operation of the contract that a route implements. */
    operationId?: string
  }
  interface FastifyRequest {
    /** When its headers were read, on the monotonic clock; 0 if it was refused earlier. */
    startedAtMs: number
  }
}

/** Bucket bounds: sends take milliseconds, polls up to 55 s. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** The pages at / and /docs with their files, and openapi.yaml. */
const PAGE = 'page'
/** Unknown paths and methods, and unreadable requests. */
const UNKNOWN = 'unknown'

const SENDS = ['sendMessage', 'sendText']

/** The responses of one operation. */
class AnswerCounts {
  readonly byStatus = new Map<number, number>()
  readonly seconds = new Histogram(SECONDS)

  count(status: number, startedAtMs: number) {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1)
    if (startedAtMs > 0) this.seconds.observe((performance.now() - startedAtMs) / 1_000)
  }
}

/** Counts responses for the metrics. */
export class RequestCounts {
  /** By operation of the contract, besides `page` and `unknown`. */
  readonly operations = new Map<string, AnswerCounts>()
  readonly refusedSends = new Map<ProblemCode, number>(problemCodes.map((code) => [code, 0]))
  /** How often a cursor was beyond the inbox. Many mean a restore that the server could not notice. */
  cursorAhead = 0

  /** Counts every response of an app. Call it before adding routes. */
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
    // A hook per route, because looking up the operation per request takes longer than counting.
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

  /** Counts the response to an unreadable request. */
  countUnreadable(status: number): void {
    this.#of(UNKNOWN).count(status, 0)
  }

  /** Counts a problem for the metrics by code. Its status is counted like any other. */
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
