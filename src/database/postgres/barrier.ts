import type pg from 'pg'
import type { Database } from '../database.ts'
import { NOW } from './fragments.ts'

/**
 * After this time, a node that did not reply has lost its lease, and reads sessions from the store:
 * src/nodes/lease.ts.
 */
const PASS_MS_MAX = 1_000

const RAISE = `SELECT id, pg_notify($1, $2) FROM node WHERE id <> $3 AND alive_until > ${NOW}`

type Endings = Pick<
  Database,
  'changePassword' | 'deleteAccount' | 'disableAccount' | 'openSession' | 'endSession' | 'revokeToken'
>

interface Waiting {
  passed: Set<string>
  onPassed: () => void
}

/** Waits until all other nodes have handled all earlier commits, or cannot be reached. */
export class Barrier {
  readonly #pool: pg.Pool
  readonly #channel: string
  readonly #nodeId: string
  readonly #waiting = new Map<number, Waiting>()
  #count = 0

  constructor(pool: pg.Pool, channel: string, nodeId: string) {
    this.#pool = pool
    this.#channel = channel
    this.#nodeId = nodeId
  }

  /** Another node has passed a barrier of this one. */
  passed(number: number, otherId: string): void {
    const waiting = this.#waiting.get(number)
    waiting?.passed.add(otherId)
    waiting?.onPassed()
  }

  /** Resolves after a second at the latest. */
  async pass(): Promise<void> {
    this.#count += 1
    const number = this.#count
    const passed = new Set<string>()
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, PASS_MS_MAX)
      const finish = () => {
        clearTimeout(late)
        resolve()
      }
      // Replies may come before the list of nodes that must reply.
      const waiting: Waiting = { passed, onPassed: () => {} }
      this.#waiting.set(number, waiting)
      this.#raise(number).then(
        (others) => {
          waiting.onPassed = () => {
            if (others.every((id) => passed.has(id))) finish()
          }
          waiting.onPassed()
        },
        // The sessions have ended in the store. If it does not answer us, we wait the full second, after
        // which the leases of the other nodes have expired.
        () => {},
      )
    })
    this.#waiting.delete(number)
  }

  /** Resolves with the nodes that should answer. */
  async #raise(number: number): Promise<string[]> {
    const values = [this.#channel, `barrier ${this.#nodeId} ${number}`, this.#nodeId]
    return (await this.#pool.query<{ id: string }>(RAISE, values)).rows.map(({ id }) => id)
  }
}

/** The verbs that end sessions and tokens: when they have resolved, these are dead at every node. */
export function endEverywhere(verbs: Endings, barrier: Barrier): Endings {
  const known = async (ended: string[] | undefined) => {
    if (ended && ended.length > 0) await barrier.pass()
    return ended
  }
  return {
    changePassword: async (...args) => known(await verbs.changePassword(...args)),
    deleteAccount: async (...args) => known(await verbs.deleteAccount(...args)),
    disableAccount: async (...args) => known(await verbs.disableAccount(...args)),
    openSession: async (...args) => known(await verbs.openSession(...args)),
    endSession: async (id) => {
      await verbs.endSession(id)
      await barrier.pass()
    },
    revokeToken: async (...args) => {
      const revoked = await verbs.revokeToken(...args)
      if (revoked) await barrier.pass()
      return revoked
    },
  }
}
