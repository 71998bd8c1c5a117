import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Sessions } from '../accounts/sessions.ts'
import type { SharedDatabase } from '../database/shared-database.ts'
import type { Poller } from '../inbox/waiter.ts'
import type { Waiters } from '../inbox/waiters.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Lease } from './lease.ts'
import { PresencePublisher } from './presence-publisher.ts'
import { Pulse } from './pulse.ts'
import { Reconciler } from './reconciler.ts'

const NOTIFICATIONS_LOST =
  'Notifications do not arrive, so messages from other nodes come up to a second late. ' +
  'Behind PgBouncer use session mode: LISTEN does not work in transaction mode.'

export interface NodesLog {
  warn: (message: string) => void
  info: (message: string) => void
}

type NodesDatabase = Pick<
  SharedDatabase,
  'beat' | 'leave' | 'addPresence' | 'removePresence' | 'checkParked' | 'listen'
>

/**
 * This process as one of several that share a database: it publishes which sessions poll here, handles the
 * notifications of the others (new entries, ended sessions), and reads the store for what it missed.
 */
export class Nodes {
  readonly #database: NodesDatabase
  readonly #heartbeat: Heartbeat
  readonly #presence: PresencePublisher
  readonly #reconciler: Reconciler
  readonly #pulse: Pulse

  /** @param lease renewed while notifications arrive */
  constructor(
    database: NodesDatabase,
    waiters: Waiters,
    sessions: Pick<Sessions, 'forget' | 'forgetAll'>,
    applicationTokens: Pick<ApplicationTokens, 'forget' | 'forgetAll'>,
    lease: Lease,
    log: NodesLog,
  ) {
    this.#database = database
    // The id is of a session or of an application token; ids are unique among both.
    const end = ({ id, username }: Pick<Poller, 'id' | 'username'>, disabled = false) => {
      sessions.forget(username, [id], disabled ? 'disabled' : true)
      applicationTokens.forget([id])
    }
    const forgetAll = () => {
      sessions.forgetAll()
      applicationTokens.forgetAll()
    }
    this.#presence = new PresencePublisher(database, waiters)
    let warned = false
    this.#heartbeat = new Heartbeat(database, {
      onNotificationsLost: ({ databaseUp }) => {
        lease.revoke()
        // What other nodes end now is missed, so sessions and tokens are read again.
        forgetAll()
        this.#reconciler.runSoon()
        if (databaseUp && !warned) log.warn(NOTIFICATIONS_LOST)
        warned ||= databaseUp
      },
      onNotificationsRestored: async () => {
        forgetAll()
        this.#presence.publishAll()
        waiters.forgetNewest()
        await this.#reconciler.runNow()
        if (warned) log.info('Notifications arrive again.')
        warned = false
      },
      onConnectionDead: () => listener.reconnect(),
    })
    this.#reconciler = new Reconciler(database, waiters, () => lease.holds, end)
    const listener = database.listen({
      onAdded: (username, newestSeq) => waiters.tell(username, newestSeq),
      onEnded: end,
      onProbe: () => void this.#heartbeat.noteProbe(),
      onConnected: () => void this.#heartbeat.beat(),
      onDisconnected: () => this.#heartbeat.markLost(),
    })
    this.#pulse = new Pulse({
      pulse: () => listener.pulse(),
      onPulse: (sinceMs) => {
        if (this.#heartbeat.subscribed) lease.renew(sinceMs, this.#heartbeat.aliveUntilMs)
        if (!lease.holds) this.#reconciler.runSoon()
      },
      onMissing: () => {
        if (!lease.holds) this.#reconciler.runSoon()
      },
      onConnectionDead: () => listener.reconnect(),
    })
  }

  /** A commit may have been missed: checks all parked polls. */
  suspectMissed(): void {
    this.#heartbeat.markLost()
    void this.#heartbeat.beat()
  }

  /** A session begins a poll on this node. */
  enter(poller: Poller): void {
    this.#presence.enter(poller)
  }

  async stop(): Promise<void> {
    this.#pulse.stop()
    await Promise.all([this.#heartbeat.stop(), this.#reconciler.stop(), this.#presence.stop()])
    // Other nodes no longer wait for this one when they end a session.
    await this.#database.leave().catch(() => {
      // Then they wait until its last beat has expired.
    })
  }
}
