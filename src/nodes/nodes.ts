import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Sessions } from '../accounts/sessions.ts'
import type { SharedDatabase } from '../database/shared-database.ts'
import type { Poller } from '../inbox/waiter.ts'
import type { Waiters } from '../inbox/waiters.ts'
import { Announcements } from './announcements.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Lease } from './lease.ts'
import { Pulse } from './pulse.ts'
import { SecondLook } from './second-look.ts'

const DEAF =
  'Notifications do not arrive, so messages from other nodes come up to a second late. ' +
  'Behind PgBouncer use session mode: LISTEN does not work in transaction mode.'

export interface NodesLog {
  warn: (message: string) => void
  info: (message: string) => void
}

type NodesDatabase = Pick<SharedDatabase, 'beat' | 'leave' | 'appear' | 'disappear' | 'lookAt' | 'listen'>

/**
 * This process as one of several that share a database: it tells the others who polls here, hears what they
 * have added and which sessions are over, and makes up for what it did not hear.
 */
export class Nodes {
  readonly #database: NodesDatabase
  readonly #heartbeat: Heartbeat
  readonly #announcements: Announcements
  readonly #secondLook: SecondLook
  readonly #pulse: Pulse

  /** @param lease kept up while all that other nodes say is heard */
  constructor(
    database: NodesDatabase,
    waiters: Waiters,
    sessions: Pick<Sessions, 'forget' | 'forgetAll'>,
    applicationTokens: Pick<ApplicationTokens, 'forget' | 'forgetAll'>,
    lease: Lease,
    log: NodesLog,
  ) {
    this.#database = database
    // A session or an application token: nothing has the id of another.
    const end = ({ id, username }: Pick<Poller, 'id' | 'username'>, disabled = false) => {
      sessions.forget(username, [id], disabled ? 'disabled' : true)
      applicationTokens.forget([id])
    }
    const forgetAll = () => {
      sessions.forgetAll()
      applicationTokens.forgetAll()
    }
    this.#announcements = new Announcements(database, waiters)
    let warned = false
    this.#heartbeat = new Heartbeat(database, {
      onDeaf: (puzzling) => {
        lease.revoke()
        // What other nodes end now is not heard, so sessions and tokens are looked up again.
        forgetAll()
        this.#secondLook.hurry()
        if (puzzling && !warned) log.warn(DEAF)
        warned ||= puzzling
      },
      onHearing: async () => {
        forgetAll()
        this.#announcements.repeat()
        waiters.forgetNewest()
        await this.#secondLook.lookNow()
        if (warned) log.info('Notifications arrive again.')
        warned = false
      },
      onSilence: () => listener.reconnect(),
    })
    this.#secondLook = new SecondLook(database, waiters, () => lease.holds, end)
    const listener = database.listen({
      onAdded: (username, newestSeq) => waiters.tell(username, newestSeq),
      onEnded: end,
      onProbe: () => void this.#heartbeat.heard(),
      onConnected: () => void this.#heartbeat.beat(),
      onDisconnected: () => this.#heartbeat.lost(),
    })
    this.#pulse = new Pulse({
      pulse: () => listener.pulse(),
      onPulse: (sinceMs) => {
        if (this.#heartbeat.hears) lease.renew(sinceMs, this.#heartbeat.aliveUntilMs)
        if (!lease.holds) this.#secondLook.hurry()
      },
      onMissing: () => {
        if (!lease.holds) this.#secondLook.hurry()
      },
      onSilence: () => listener.reconnect(),
    })
  }

  /** Something was perhaps committed that this node did not hear of: parked polls are looked after. */
  doubt(): void {
    this.#heartbeat.lost()
    void this.#heartbeat.beat()
  }

  /** A poll of this session begins here. */
  enter(poller: Poller): void {
    this.#announcements.enter(poller)
  }

  async stop(): Promise<void> {
    this.#pulse.stop()
    await Promise.all([this.#heartbeat.stop(), this.#secondLook.stop(), this.#announcements.stop()])
    // Nobody need wait for this node any more when it ends a session.
    await this.#database.leave().catch(() => {
      // Then they wait until its last beat is old.
    })
  }
}
