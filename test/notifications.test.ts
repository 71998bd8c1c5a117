/** How a node notices lost notifications, and its reaction: the heartbeat and the reconciler. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ClockHistory } from '../src/clock.ts'
import { DatabaseUnavailable } from '../src/database/database.ts'
import {
  ALIVE_MS,
  type NotificationHandlers,
  type ParkedStatus,
  type SessionOfAccount,
} from '../src/database/shared-database.ts'
import { Inbox } from '../src/inbox/inbox.ts'
import { Mailboxes } from '../src/inbox/mailboxes.ts'
import type { ReadingSession, WaitEnd } from '../src/inbox/poll.ts'
import { ReadBudget } from '../src/limits/read-budget.ts'
import { Heartbeat } from '../src/nodes/heartbeat.ts'
import { Lease } from '../src/nodes/lease.ts'
import { Nodes } from '../src/nodes/nodes.ts'
import { Presence } from '../src/presence.ts'
import { connection } from './support/connection.ts'
import { eventually } from './support/eventually.ts'

/** A heartbeat every 2 s; a probe that has not come back after 5 s counts as lost with the next. */
const BEAT_MS = 2_500
const SILENT_MS = 10_000

/** Without notifications, all parked polls are checked within a second. */
const CHECK_MS = 2_500

describe('the heartbeat', { concurrency: true }, () => {
  it('is subscribed from its first probe on, once it has read what it missed', async (t) => {
    const { heartbeat, events } = beating(t)
    assert.equal(heartbeat.subscribed, false)

    const noted = heartbeat.noteProbe()
    assert.equal(heartbeat.subscribed, false, 'Not before it has read what it missed.')
    events.made()
    await noted

    assert.equal(heartbeat.subscribed, true)
    await heartbeat.noteProbe()
    assert.equal(events.recoveries, 1)
  })

  it('ignores a recovery that began before the last loss', async (t) => {
    const { heartbeat, events } = beating(t)
    const first = heartbeat.noteProbe()
    const madeUpForFirst = events.made
    heartbeat.markLost()
    const second = heartbeat.noteProbe()
    madeUpForFirst()
    await first

    assert.equal(heartbeat.subscribed, false)
    events.made()
    await second
    assert.equal(heartbeat.subscribed, true)
    assert.equal(events.recoveries, 2)
  })

  it('recovers with the next probe when reading what it missed has failed', async (t) => {
    const { heartbeat, events } = beating(t)
    const first = heartbeat.noteProbe()
    events.failed()
    await first
    assert.equal(heartbeat.subscribed, false)

    const second = heartbeat.noteProbe()
    events.made()
    await second

    assert.equal(heartbeat.subscribed, true)
  })

  it('reports with every beat that notifications are lost, and whether the database accepts probes', async (t) => {
    const [silent, away] = [beating(t), beating(t)]
    away.database.onBeat = () => {
      throw new DatabaseUnavailable('It is away.')
    }
    for (const { heartbeat } of [silent, away]) heartbeat.markLost()

    await eventually('the third beat', () => silent.events.lost.length === 4, 3 * BEAT_MS)

    // At once, with the first heartbeat.
    assert.deepEqual(silent.events.lost, [false, false, true, true])
    assert.ok(!away.events.lost.includes(true))
  })

  it('notices soon that notifications are lost while the database hangs', async (t) => {
    const { heartbeat, events, database } = beating(t)
    database.onBeat = () => {
      setImmediate(() => {
        void heartbeat.noteProbe()
        events.made()
      })
    }
    await heartbeat.beat()
    await eventually('its probe comes back', () => heartbeat.subscribed)

    database.onBeat = () =>
      new Promise<void>((resolve) => {
        database.release = resolve
      })

    await eventually('it reports that notifications are lost', () => events.lost.length > 0, SILENT_MS)
    assert.equal(heartbeat.subscribed, false)
  })

  it('replaces a connection that brings no probes, and keeps one that does', async (t) => {
    const [silent, answering] = [beating(t), beating(t)]
    answering.database.onBeat = () => {
      void answering.heartbeat.noteProbe()
      answering.events.made()
    }

    await eventually('it is given up', () => silent.events.deadConnections > 0, SILENT_MS)

    assert.equal(answering.events.deadConnections, 0)
    assert.equal(answering.heartbeat.subscribed, true)
  })

  it('keeps the connection while the database is unavailable', async (t) => {
    const [away, silent] = [beating(t), beating(t)]
    away.database.onBeat = () => {
      throw new DatabaseUnavailable('It is away.')
    }

    await eventually('another one is given up', () => silent.events.deadConnections > 0, SILENT_MS)

    assert.equal(away.events.deadConnections, 0)
  })
})

describe('a node that gets no notifications', { concurrency: true }, () => {
  it('logs it once, and checks parked polls within about 2 s', async (t) => {
    const node = startNode(t)
    node.handlers().onConnected()
    const parked = node.park('ada')
    node.newest = 1

    const waited = await within(CHECK_MS, parked)

    assert.equal(waited.kind, 'read')
    await eventually('it is logged', () => node.said.length > 0, BEAT_MS)
    await eventually('two more beats', () => node.beats > 3, 3 * BEAT_MS)
    assert.equal(node.said.length, 1)
    assert.match(node.said[0] ?? '', /^warn Notifications do not arrive.*PgBouncer/)
    node.handlers().onProbe()
    await eventually('notifications arrive', () => node.said.length === 2)
    assert.equal(node.said[1], 'info Notifications arrive again.')
  })

  it('asks for another connection', async (t) => {
    const node = startNode(t)
    node.handlers().onConnected()

    await eventually('it has asked', () => node.reconnects > 0, SILENT_MS)
  })

  it('checks soon after notifications were lost', async (t) => {
    const node = startNode(t)
    node.handlers().onConnected()
    node.handlers().onProbe()
    await eventually('notifications arrive', () => node.lease.holds)
    // The check that began before notifications arrived is the last with the short interval.
    const looks = node.looks
    const waiting = node.park('bob')
    await eventually('that round is over', () => node.looks > looks, CHECK_MS)
    const parked = node.park('ada')
    node.newest = 1

    node.handlers().onDisconnected()

    assert.equal((await within(CHECK_MS, parked)).kind, 'read')
    assert.equal((await within(CHECK_MS, waiting)).kind, 'read')
  })

  it('finds sessions that have ended', async (t) => {
    const node = startNode(t)
    const parked = node.park('ada')
    node.alive = false

    assert.equal((await within(CHECK_MS, parked)).kind, 'ended')
    assert.deepEqual(node.forgotten, ['session of ada'])
  })

  it('continues after a check has failed', async (t) => {
    const node = startNode(t)
    node.failLooks = 1
    const parked = node.park('ada')
    node.newest = 1

    assert.equal((await within(2 * CHECK_MS, parked)).kind, 'read')
  })
})

describe('a node that gets notifications, but cannot write its heartbeats', { concurrency: true }, () => {
  it('trusts its caches only while it counts as alive, and again afterwards', async (t) => {
    const node = startNode(t)
    node.handlers().onConnected()
    node.handlers().onProbe()
    await eventually('the lease holds', () => node.lease.holds)
    const heldSinceMs = performance.now()

    node.failBeats = true
    await eventually('the lease is over', () => !node.lease.holds, ALIVE_MS + 1_000)
    assert.ok(performance.now() - heldSinceMs > 4_000, 'a beat or two may be lost')

    node.failBeats = false
    await eventually('the lease holds again', () => node.lease.holds, 2 * BEAT_MS)
  })
})

describe('a commit whose outcome is unknown', () => {
  it('makes the node check parked polls once per batch; a refused message does not', async () => {
    const [mailboxes, presence] = [new Mailboxes(Date.now), new Presence(0, Date.now)]
    let doubts = 0
    const others = {
      suspectMissed: () => {
        doubts += 1
      },
    }
    const commits: ((error: Error) => void)[] = []
    const database = {
      commit: () => new Promise<never>((_, reject) => commits.push(reject)),
      readInbox: () => assert.fail('nobody reads'),
      newestSeq: () => assert.fail('nobody reads'),
      findMessage: () => assert.fail('nobody looks'),
    }
    const [history, rules] = [new ClockHistory(Date.now), { idempotencyTtlMs: 1 }]
    const inbox = new Inbox(database, mailboxes, presence, history, rules, new ReadBudget(false), others)
    const send = (n: number) =>
      inbox.append({
        sender: { accountId: 1, username: 'ada' },
        to: 'bob',
        body: `message ${n}`,
        idempotencyKey: undefined,
      })

    const accepted = () => assert.fail('It was accepted.')
    const sends = Array.from({ length: 20_000 }, (_, n) => send(n).then(accepted, (error: Error) => error))
    const refused = (await Promise.all(sends.slice(-8_000))).map(({ message }) => message)
    assert.deepEqual([...new Set(refused)], ['Too many messages wait to be written.'])
    assert.equal(doubts, 0)

    await eventually('a commit is under way', () => commits.length > 0)
    commits[0]?.(new DatabaseUnavailable('The connection broke.'))
    await sends[0]
    assert.equal(doubts, 1)
    presence.close()
    mailboxes.close()
  })
})

/** A heartbeat whose events the test decides. */
function beating(t: TestContext) {
  const database = {
    onBeat: (): unknown => undefined,
    /** Ends the hanging heartbeat. */
    release: () => {},
  }
  const events = {
    lost: [] as boolean[],
    deadConnections: 0,
    recoveries: 0,
    made: () => {},
    failed: () => {},
  }
  const heartbeat = new Heartbeat(
    {
      beat: async () => {
        await database.onBeat()
      },
    },
    {
      onNotificationsLost: ({ databaseUp }) => {
        events.lost.push(databaseUp)
      },
      onConnectionDead: () => {
        events.deadConnections += 1
      },
      onNotificationsResumed: () => {
        events.recoveries += 1
        return new Promise((resolve, reject) => {
          events.made = resolve
          events.failed = () => reject(new DatabaseUnavailable('It went away again.'))
        })
      },
    },
  )
  t.after(() => {
    database.release()
    return heartbeat.stop()
  })
  return { heartbeat, events, database }
}

/** A node on a database that sends only the notifications of the test. */
function startNode(t: TestContext) {
  let handlers: NotificationHandlers | undefined
  const [mailboxes, presence] = [new Mailboxes(Date.now), new Presence(0, Date.now)]
  const node = {
    newest: 0,
    alive: true,
    failLooks: 0,
    failBeats: false,
    looks: 0,
    beats: 0,
    reconnects: 0,
    said: [] as string[],
    forgotten: [] as string[],
    pulse: () => Promise.resolve(),
    handlers: () => handlers as NotificationHandlers,
    park: (username: string) => {
      const id = `session of ${username}`
      const counters = { acknowledgedSeq: 0, offeredSeq: 0, handedSeq: 0 }
      const session: ReadingSession = { id, username, accountId: 1, ended: false, ...counters }
      mailboxes.enter(username)
      mailboxes.noteNewestSeq(username, 0)
      return new Promise<WaitEnd>((wake) => {
        const tokenExpiresAtMs = Number.MAX_SAFE_INTEGER
        mailboxes.park({ session, cursor: 0, tokenExpiresAtMs, connection: connection(), wake }, 60_000)
      })
    },
  }
  const database: ConstructorParameters<typeof Nodes>[0] = {
    beat: async () => {
      if (node.failBeats) throw new DatabaseUnavailable('Its disk is full.')
      node.beats += 1
    },
    leave: async () => {},
    addPresence: async () => {},
    removePresence: async () => {},
    checkParked: async (sessions: SessionOfAccount[]): Promise<ParkedStatus[]> => {
      if (node.failLooks > 0) {
        node.failLooks -= 1
        throw new DatabaseUnavailable('It is away.')
      }
      node.looks += 1
      return sessions.map(() => ({ alive: node.alive, newestSeq: node.newest }))
    },
    listen: (given) => {
      handlers = given
      return {
        pulse: () => node.pulse(),
        reconnect: () => {
          node.reconnects += 1
        },
      }
    },
  }
  const sessions = {
    forgetAll: () => {},
    forget: (username: string, ids: string[]) => {
      node.forgotten.push(...ids)
      for (const id of ids) mailboxes.endSession({ id, username }, true)
    },
  }
  const applicationTokens = { forgetAll: () => {}, forget: () => {} }
  const say = (level: string) => (message: string) => {
    node.said.push(`${level} ${message}`)
  }
  const lease = new Lease()
  const local = { mailboxes, presence, sessions, applicationTokens }
  const nodes = new Nodes(database, local, lease, {
    warn: say('warn'),
    info: say('info'),
  })
  t.after(async () => {
    presence.close()
    mailboxes.close()
    await nodes.stop()
  })
  return Object.assign(node, { nodes, lease })
}

async function within<T>(ms: number, awaited: Promise<T>): Promise<T> {
  let ended: { value: T } | undefined
  void awaited.then((value) => {
    ended = { value }
  })
  await eventually('it ends', () => ended !== undefined, ms)
  return (ended as unknown as { value: T }).value
}
