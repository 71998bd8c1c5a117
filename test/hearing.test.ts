/** Whether a node hears the others, and what it does when it does not: the heartbeat and the second look. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ClockHistory } from '../src/clock.ts'
import { DatabaseUnavailable } from '../src/database/database.ts'
import { ALIVE_MS, type Hearing, type Looked, type Parked } from '../src/database/shared-database.ts'
import { Inbox } from '../src/inbox/inbox.ts'
import type { WaitEnd } from '../src/inbox/waiter.ts'
import { Waiters } from '../src/inbox/waiters.ts'
import { ReadBudget } from '../src/limits/read-budget.ts'
import { Heartbeat } from '../src/nodes/heartbeat.ts'
import { Lease } from '../src/nodes/lease.ts'
import { Nodes } from '../src/nodes/nodes.ts'
import { connection } from './support/connection.ts'
import { eventually } from './support/eventually.ts'

/** A beat comes every 2 s, and one that has not come back after 5 s is given up with the next. */
const BEAT_MS = 2_500
const SILENT_MS = 10_000

/** Without hints, everybody is looked after every 2 s. */
const LOOK_MS = 2_500

describe('the heartbeat', { concurrency: true }, () => {
  it('hears from its first probe on, when what was missed is made up for', async (t) => {
    const { heartbeat, events } = beating(t)
    assert.equal(heartbeat.hears, false)

    const heard = heartbeat.heard()
    assert.equal(heartbeat.hears, false, 'Not before it is made up for.')
    events.made()
    await heard

    assert.equal(heartbeat.hears, true)
    await heartbeat.heard()
    assert.equal(events.hearings, 1)
  })

  it('does not count what began before a loss', async (t) => {
    const { heartbeat, events } = beating(t)
    const first = heartbeat.heard()
    const madeUpForFirst = events.made
    heartbeat.lost()
    const second = heartbeat.heard()
    madeUpForFirst()
    await first

    assert.equal(heartbeat.hears, false)
    events.made()
    await second
    assert.equal(heartbeat.hears, true)
    assert.equal(events.hearings, 2)
  })

  it('tries again with the next probe when it could not be made up for', async (t) => {
    const { heartbeat, events } = beating(t)
    const first = heartbeat.heard()
    events.failed()
    await first
    assert.equal(heartbeat.hears, false)

    const second = heartbeat.heard()
    events.made()
    await second

    assert.equal(heartbeat.hears, true)
  })

  it('tells with every beat that it is deaf, and whether the database takes probes all the same', async (t) => {
    const [silent, away] = [beating(t), beating(t)]
    away.database.onBeat = () => {
      throw new DatabaseUnavailable('It is away.')
    }
    for (const { heartbeat } of [silent, away]) heartbeat.lost()

    await eventually('the third beat', () => silent.events.deaf.length === 4, 3 * BEAT_MS)

    // At once, and with a first beat before which nothing had been written.
    assert.deepEqual(silent.events.deaf, [false, false, true, true])
    assert.ok(!away.events.deaf.includes(true))
  })

  it('does not believe for long that it hears while the database hangs', async (t) => {
    const { heartbeat, events, database } = beating(t)
    database.onBeat = () => {
      setImmediate(() => {
        void heartbeat.heard()
        events.made()
      })
    }
    await heartbeat.beat()
    await eventually('it hears itself', () => heartbeat.hears)

    database.onBeat = () =>
      new Promise<void>((resolve) => {
        database.release = resolve
      })

    await eventually('it is told that it is deaf', () => events.deaf.length > 0, SILENT_MS)
    assert.equal(heartbeat.hears, false)
  })

  it('gives up a connection that brings no probes, and not one that brings them', async (t) => {
    const [silent, answering] = [beating(t), beating(t)]
    answering.database.onBeat = () => {
      void answering.heartbeat.heard()
      answering.events.made()
    }

    await eventually('it is given up', () => silent.events.silences > 0, SILENT_MS)

    assert.equal(answering.events.silences, 0)
    assert.equal(answering.heartbeat.hears, true)
  })

  it('blames no connection while the database is away', async (t) => {
    const [away, silent] = [beating(t), beating(t)]
    away.database.onBeat = () => {
      throw new DatabaseUnavailable('It is away.')
    }

    await eventually('another one is given up', () => silent.events.silences > 0, SILENT_MS)

    assert.equal(away.events.silences, 0)
  })
})

describe('a node that hears nothing', { concurrency: true }, () => {
  it('says so once, and looks after those who wait within about 2 s', async (t) => {
    const node = startNode(t)
    node.hearing().onConnected()
    const parked = node.park('ada')
    node.newest = 1

    const waited = await within(LOOK_MS, parked)

    assert.equal(waited.kind, 'look')
    await eventually('it is said', () => node.said.length > 0, BEAT_MS)
    await eventually('two more beats', () => node.beats > 3, 3 * BEAT_MS)
    assert.equal(node.said.length, 1)
    assert.match(node.said[0] ?? '', /^warn Notifications do not arrive.*PgBouncer/)
    node.hearing().onProbe()
    await eventually('it hears', () => node.said.length === 2)
    assert.equal(node.said[1], 'info Notifications arrive again.')
  })

  it('asks for another connection', async (t) => {
    const node = startNode(t)
    node.hearing().onConnected()

    await eventually('it has asked', () => node.reconnects > 0, SILENT_MS)
  })

  it('looks soon when it has just become so', async (t) => {
    const node = startNode(t)
    node.hearing().onConnected()
    node.hearing().onProbe()
    await eventually('it hears', () => node.lease.holds)
    // The round that was begun before it heard is the last one that is short.
    const looks = node.looks
    const waiting = node.park('bob')
    await eventually('that round is over', () => node.looks > looks, LOOK_MS)
    const parked = node.park('ada')
    node.newest = 1

    node.hearing().onDisconnected()

    assert.equal((await within(LOOK_MS, parked)).kind, 'look')
    assert.equal((await within(LOOK_MS, waiting)).kind, 'look')
  })

  it('finds out whose session is over', async (t) => {
    const node = startNode(t)
    const parked = node.park('ada')
    node.alive = false

    assert.equal((await within(LOOK_MS, parked)).kind, 'ended')
    assert.deepEqual(node.forgotten, ['session of ada'])
  })

  it('goes on when the look fails', async (t) => {
    const node = startNode(t)
    node.failLooks = 1
    const parked = node.park('ada')
    node.newest = 1

    assert.equal((await within(2 * LOOK_MS, parked)).kind, 'look')
  })
})

describe('a node that hears, and whose beats cannot be written', { concurrency: true }, () => {
  it('believes what it remembers for no longer than the others take it for alive, and again afterwards', async (t) => {
    const node = startNode(t)
    node.hearing().onConnected()
    node.hearing().onProbe()
    await eventually('it believes', () => node.lease.holds)
    const believedMs = performance.now()

    node.failBeats = true
    await eventually('it does not believe any more', () => !node.lease.holds, ALIVE_MS + 1_000)
    assert.ok(performance.now() - believedMs > 4_000, 'a beat or two may be lost')

    node.failBeats = false
    await eventually('it believes again', () => node.lease.holds, 2 * BEAT_MS)
  })
})

describe('a commit whose end is not known', () => {
  it('is a reason for doubt once a batch, and a message that is not taken is none', async () => {
    const waiters = new Waiters(0, Date.now, { onEnter: () => {}, onOffline: () => {} })
    let doubts = 0
    const others = {
      doubt: () => {
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
    const inbox = new Inbox(database, waiters, history, rules, new ReadBudget(false), others)
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
    waiters.close()
  })
})

/** A heartbeat whose events the test decides. */
function beating(t: TestContext) {
  const database = {
    onBeat: (): unknown => undefined,
    /** Ends the beat that hangs. */
    release: () => {},
  }
  const events = {
    deaf: [] as boolean[],
    silences: 0,
    hearings: 0,
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
      onDeaf: (puzzling) => {
        events.deaf.push(puzzling)
      },
      onSilence: () => {
        events.silences += 1
      },
      onHearing: () => {
        events.hearings += 1
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

/** A node on a database that tells it nothing but what the test has it tell. */
function startNode(t: TestContext) {
  let hearing: Hearing | undefined
  const waiters = new Waiters(0, Date.now, { onEnter: () => {}, onOffline: () => {} })
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
    hearing: () => hearing as Hearing,
    park: (username: string) => {
      const poller = { id: `session of ${username}`, username, ended: false }
      waiters.enter(poller)
      waiters.learn(username, 0)
      return new Promise<WaitEnd>((wake) => {
        const tokenExpiresAtMs = Number.MAX_SAFE_INTEGER
        waiters.park(
          { poller, cursor: 0, tokenExpiresAtMs, connection: connection(), away: false, wake },
          60_000,
        )
      })
    },
  }
  const database: ConstructorParameters<typeof Nodes>[0] = {
    beat: async () => {
      if (node.failBeats) throw new DatabaseUnavailable('Its disk is full.')
      node.beats += 1
    },
    leave: async () => {},
    appear: async () => {},
    disappear: async () => {},
    lookAt: async (sessions: Parked[]): Promise<Looked[]> => {
      if (node.failLooks > 0) {
        node.failLooks -= 1
        throw new DatabaseUnavailable('It is away.')
      }
      node.looks += 1
      return sessions.map(() => ({ alive: node.alive, newestSeq: node.newest }))
    },
    listen: (given) => {
      hearing = given
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
      for (const id of ids) waiters.endSession({ id, username })
    },
  }
  const applicationTokens = { forgetAll: () => {}, forget: () => {} }
  const say = (level: string) => (message: string) => {
    node.said.push(`${level} ${message}`)
  }
  const lease = new Lease()
  const nodes = new Nodes(database, waiters, sessions, applicationTokens, lease, {
    warn: say('warn'),
    info: say('info'),
  })
  t.after(async () => {
    waiters.close()
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
