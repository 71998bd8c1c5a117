import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Sessions } from '../accounts/sessions.ts'
import type { SharedDatabase, Subscription } from '../database/shared-database.ts'
import type { Mailboxes } from '../inbox/mailboxes.ts'
import type { Presence, SessionRef } from '../presence.ts'
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

/** What notifications of other nodes act on. */
export interface LocalState {
  mailboxes: Mailboxes
  presence: Presence
  sessions: Pick<Sessions, 'forget' | 'forgetAll'>
  applicationTokens: Pick<ApplicationTokens, 'forget' | 'forgetAll'>
}

/**
 * This process as one of several that share a database: it publishes which sessions are online here, handles
 * the notifications of the others (new entries, ended sessions), and reads the store for those it missed.
 */
export class Nodes {
  readonly #database: NodesDatabase
  readonly #local: LocalState
  readonly #lease: Lease
  readonly #log: NodesLog
  readonly #publisher: PresencePublisher
  readonly #reconciler: Reconciler
  readonly #heartbeat: Heartbeat
  readonly #subscription: Subscription
  readonly #pulse: Pulse
  /** Whether the log says that notifications are lost. */
  #warned = false

  /** @param lease renewed while notifications arrive */
  constructor(database: NodesDatabase, local: LocalState, lease: Lease, log: NodesLog) {
    this.#database = database
    this.#local = local
    this.#lease = lease
    this.#log = log
    this.#publisher = new PresencePublisher(database, local.presence)
    this.#reconciler = new Reconciler(
      database,
      local.mailboxes,
      () => lease.holds,
      (session) => this.#endSession(session),
    )
    this.#heartbeat = new Heartbeat(database, {
      onNotificationsLost: ({ databaseUp }) => this.#onNotificationsLost(databaseUp),
      onNotificationsResumed: () => this.#onNotificationsResumed(),
      onConnectionDead: () => this.#subscription.reconnect(),
    })
    this.#subscription = database.listen({
      onAppendedElsewhere: (username, newestSeq) => local.mailboxes.wakeBehind(username, newestSeq),
      onEnded: (session, disabled) => this.#endSession(session, disabled),
      onProbe: () => void this.#heartbeat.noteProbe(),
      onConnected: () => void this.#heartbeat.beat(),
      onDisconnected: () => this.#heartbeat.markLost(),
    })
    this.#pulse = new Pulse({
      pulse: () => this.#subscription.pulse(),
      onPulse: (sinceMs) => this.#onPulse(sinceMs),
      onMissing: () => this.#reconcileWithoutLease(),
      onConnectionDead: () => this.#subscription.reconnect(),
    })
  }

  /** A commit may have been missed: checks all parked polls. */
  suspectMissed(): void {
    this.#heartbeat.markLost()
    void this.#heartbeat.beat()
  }

  async stop(): Promise<void> {
    this.#pulse.stop()
    await Promise.all([this.#heartbeat.stop(), this.#reconciler.stop(), this.#publisher.stop()])
    // Other nodes no longer wait for this one when they end a session.
    await this.#database.leave().catch(() => {
      // Then they wait until its last beat has expired.
    })
  }

  /** Also ends an application token: ids are unique among both. */
  #endSession({ id, username }: SessionRef, disabled = false) {
    this.#local.sessions.forget(username, [id], disabled ? 'disabled' : true)
    this.#local.applicationTokens.forget([id])
  }

  #onNotificationsLost(databaseUp: boolean) {
    this.#lease.revoke()
    // What other nodes end now is missed, so sessions and tokens are read again.
    this.#forgetAll()
    this.#reconciler.runSoon()
    if (databaseUp && !this.#warned) this.#log.warn(NOTIFICATIONS_LOST)
    this.#warned ||= databaseUp
  }

  async #onNotificationsResumed() {
    this.#forgetAll()
    this.#publisher.publishAll()
    this.#local.mailboxes.forgetNewestSeqs()
    await this.#reconciler.runNow()
    if (this.#warned) this.#log.info('Notifications arrive again.')
    this.#warned = false
  }

  #onPulse(sinceMs: number) {
    if (this.#heartbeat.subscribed) this.#lease.renew(sinceMs, this.#heartbeat.aliveUntilMs)
    this.#reconcileWithoutLease()
  }

  #reconcileWithoutLease() {
    if (!this.#lease.holds) this.#reconciler.runSoon()
  }

  #forgetAll() {
    this.#local.sessions.forgetAll()
    this.#local.applicationTokens.forgetAll()
  }
}
