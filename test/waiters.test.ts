import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { StoredMessage } from '../src/database/database.ts'
import type { Connection, WaitEnd } from '../src/inbox/waiter.ts'
import { Waiters } from '../src/inbox/waiters.ts'
import { connection } from './support/connection.ts'
import { range } from './support/range.ts'

const GRACE_MS = 10_000
const WAIT_MS = 25_000
const DAY_MS = 86_400_000
const TOKEN_EXPIRES_AT_MS = 1_000_000 + DAY_MS
/** Polls whose waits end at about the same time are answered together. */
const LATE_MS_MAX = 50

describe('the waiters', () => {
  it('give a poll the message right behind its cursor from memory', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 7)
    const wait = park(poller(), 7)

    waiters.deliver('ada', messages(8, 10))

    assert.deepEqual(await settled(wait), { kind: 'messages', messages: messages(8, 10) })
  })

  it('send a poll that is further behind to the store, so that nothing is skipped', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 7)
    const wait = park(poller(), 7)

    // As if another node had committed the message before it.
    waiters.deliver('ada', messages(9, 9))

    assert.deepEqual(await settled(wait), { kind: 'look' })
  })

  it('send a poll to the store when others committed in between, so that nothing is skipped', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 7)
    const wait = park(poller(), 7)

    // A batch with a duplicate idempotency key is committed in two parts.
    waiters.deliver('ada', [...messages(10, 10), ...messages(8, 8)])

    assert.deepEqual(await settled(wait), { kind: 'look' })
    assert.equal(waiters.newestSeq('ada'), 10)
  })

  it('send a poll whose cursor lies inside a batch to the store, so that nothing is repeated', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 7)
    const wait = park(poller(), 8)

    waiters.deliver('ada', messages(8, 10))

    assert.deepEqual(await settled(wait), { kind: 'look' })
  })

  it('do not park a poll while the newest number is unknown, or newer than its cursor', async (t) => {
    const { waiters, poller, park } = openWaiters(t)
    const ada = poller()
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'look' })

    waiters.learn('ada', 3)

    assert.deepEqual(await settled(park(ada, 2)), { kind: 'look' })
    assert.equal(await settled(park(ada, 3)), undefined)
  })

  it('notice, when they park a poll, commits since it began, even after an older read', async (t) => {
    const { waiters, poller, park } = openWaiters(t)
    const ada = poller()
    // The message arrives while the poll reads; its page is older.
    waiters.deliver('ada', messages(1, 1))
    waiters.learn('ada', 0)

    assert.equal(waiters.newestSeq('ada'), 1, 'it never moves back')
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'look' })
  })

  it('answer a poll with nothing when its time is over, and not before', async (t) => {
    const { poller, park } = openWaiters(t, 0)
    const wait = park(poller(), 0, 5_000)

    t.mock.timers.tick(4_999)
    assert.equal(await settled(wait), undefined)
    t.mock.timers.tick(LATE_MS_MAX + 1)

    assert.deepEqual(await settled(wait), { kind: 'nothing' })
  })

  it('answer a poll whose token has expired, within a second, also when the clock was set', async (t) => {
    const { waiters, poller, park, stepClock } = openWaiters(t, 0)
    const ada = poller()
    const wait = park(ada, 0, 2 * DAY_MS)
    stepClock(DAY_MS - 1_001)
    t.mock.timers.tick(1_000)
    assert.equal(await settled(wait), undefined, 'a millisecond is left')

    stepClock(1)
    t.mock.timers.tick(1_000)

    assert.deepEqual(await settled(wait), { kind: 'expired' })
    waiters.leave(ada, true)
  })

  it('let a poll wait as long as it asked for, however the clock is set meanwhile', async (t) => {
    const { poller, park, stepClock } = openWaiters(t, 0)
    const wait = park(poller(), 0, 5_000)

    for (const byMs of [-3_650 * DAY_MS, 3_650 * DAY_MS, 3_600_000, -3_600_000]) {
      stepClock(byMs)
      t.mock.timers.tick(byMs === 3_650 * DAY_MS ? 0 : 1_000)
    }
    assert.equal(await settled(wait), undefined)
    t.mock.timers.tick(2_000 + LATE_MS_MAX)

    assert.deepEqual(await settled(wait), { kind: 'nothing' })
  })

  it('share a timer among polls that end at about the same time', (t) => {
    const { poller, park } = openWaiters(t, 0)
    const timers = t.mock.method(globalThis, 'setTimeout')

    for (const number of range(1, 1_000)) void park(poller(`phone ${number}`, `user ${number}`), 0, 5_000)

    // One timer per 50 ms of their arrival; without this it would be one per poll.
    assert.ok(timers.mock.callCount() < 100, `${timers.mock.callCount()} timers`)
  })

  it('forget a poll at once when its client disconnects', async (t) => {
    const { poller, park } = openWaiters(t, 0)
    const client = connection()
    const wait = park(poller(), 0, WAIT_MS, client)

    client.destroy()

    assert.deepEqual(await settled(wait), { kind: 'gone' })
  })

  it('do not park a poll whose client disconnects during the read', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 0)
    const ada = poller()

    const wait = park(ada, 0, WAIT_MS, connection().destroy())

    assert.deepEqual(await settled(wait), { kind: 'gone' })
    waiters.leave(ada, true)
    t.mock.timers.tick(GRACE_MS)
    assert.equal(waiters.isOnline('ada'), false)
  })

  it('keep the newer poll of a session when the connection of an older one ends late', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 0)
    const client = connection()
    const ada = poller()
    const older = park(ada, 0, 1_000, client)
    t.mock.timers.tick(1_000 + LATE_MS_MAX)
    assert.deepEqual(await settled(older), { kind: 'nothing' })
    const newer = park(ada, 0)

    client.destroy()

    waiters.deliver('ada', messages(1, 1))
    assert.deepEqual(await settled(newer), { kind: 'messages', messages: messages(1, 1) })
  })

  it('answer the oldest of nine polls of a session, and none of another session', async (t) => {
    const { poller, park } = openWaiters(t, 0)
    const [phone, laptop] = [poller('phone'), poller('laptop')]
    const onLaptop = park(laptop, 0)
    const onPhone = range(1, 8).map(() => park(phone, 0))
    assert.equal(await settled(Promise.race([onLaptop, ...onPhone])), undefined)

    const ninth = park(phone, 0)

    const [oldest, ...others] = onPhone
    assert.ok(oldest && (await settled(oldest)), 'it is answered')
    assert.equal(await settled(Promise.race([onLaptop, ...others, ninth])), undefined)
  })

  it('answer the polls of a session that ends, and no others', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 0)
    const [phone, laptop] = [poller('phone'), poller('laptop')]
    const onPhone = [park(phone, 0), park(phone, 0)]
    const onLaptop = park(laptop, 0)

    phone.ended = true
    waiters.endSession(phone)

    for (const wait of onPhone) assert.deepEqual(await settled(wait), { kind: 'ended', ended: true })
    assert.equal(await settled(onLaptop), undefined)
  })

  it('do not park a poll whose session ended while it read the store', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 0)
    const ada = poller()
    ada.ended = true
    waiters.endSession(ada)

    assert.deepEqual(await settled(park(ada, 0)), { kind: 'ended', ended: true })
  })

  it('answer all polls at a shutdown and every later one, with stored messages if there are any', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 1)
    const ada = poller()
    const wait = park(ada, 1)

    waiters.close()

    assert.deepEqual(await settled(wait), { kind: 'closing' })
    assert.deepEqual(await settled(park(ada, 1)), { kind: 'closing' })
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'look' })
  })
})

describe('presence', () => {
  it('lasts from the start of a poll until the grace time after its end', (t) => {
    const { waiters, poller } = openWaiters(t)
    assert.equal(waiters.isOnline('ada'), false)
    const ada = poller()
    t.mock.timers.tick(10 * GRACE_MS)
    assert.equal(waiters.isOnline('ada'), true)

    waiters.leave(ada, true)
    t.mock.timers.tick(GRACE_MS - 1)
    assert.equal(waiters.isOnline('ada'), true)
    t.mock.timers.tick(1)

    assert.equal(waiters.isOnline('ada'), false)
  })

  it('does not begin with a refused poll, though its mailbox is kept meanwhile', (t) => {
    const { waiters, offline } = openWaiters(t)
    const ada = { id: 'phone', username: 'ada', ended: false }
    waiters.enter(ada)
    t.mock.timers.tick(GRACE_MS)
    waiters.deliver('ada', messages(1, 1))
    assert.deepEqual([waiters.isOnline('ada'), waiters.isPresent(ada)], [false, false])
    assert.equal(waiters.newestSeq('ada'), 1, 'what was committed meanwhile is known')

    waiters.leave(ada, false)

    assert.deepEqual([waiters.isOnline('ada'), waiters.lastSeenAtMs('ada')], [false, undefined])
    t.mock.timers.tick(GRACE_MS)
    assert.deepEqual([waiters.hasMailbox('ada'), offline], [false, []])
  })

  it('does not begin with polls with `away`, which are woken like any other', async (t) => {
    const { waiters, offline, poller, park } = openWaiters(t, 0)
    const ada = poller('phone', 'ada', true)
    const wait = park(ada, 0)
    assert.deepEqual([waiters.isOnline('ada'), waiters.isPresent(ada)], [false, false])

    waiters.deliver('ada', messages(1, 1))

    assert.deepEqual(await settled(wait), { kind: 'messages', messages: messages(1, 1) })
    waiters.leave(ada, false)
    assert.deepEqual([waiters.isOnline('ada'), waiters.isPresent(ada)], [false, false])
    t.mock.timers.tick(GRACE_MS)
    assert.deepEqual([waiters.hasMailbox('ada'), offline], [false, []])
  })

  it('ends with the grace time, and is reported, while polls with `away` continue', (t) => {
    const { waiters, offline, sessionsOffline, poller, park } = openWaiters(t, 0)
    const ada = poller('phone')
    const away = poller('phone', 'ada', true)
    void park(away, 0, 10 * GRACE_MS)
    t.mock.timers.tick(2 * GRACE_MS)
    assert.deepEqual([waiters.isOnline('ada'), waiters.isPresent(ada)], [true, true])

    waiters.leave(ada, true)
    const endedAtMs = Date.now()
    waiters.endSession({ id: 'laptop', username: 'ada' })
    assert.equal(waiters.isOnline('ada'), true, 'the grace time')
    t.mock.timers.tick(GRACE_MS + 1_000)

    assert.equal(waiters.isOnline('ada'), false)
    assert.deepEqual(offline, [['ada', endedAtMs]])
    assert.deepEqual(sessionsOffline, [['phone', endedAtMs]])
    t.mock.timers.tick(GRACE_MS)
    assert.equal(offline.length, 1, 'told once')
    assert.equal(waiters.hasMailbox('ada'), true, 'the poll that is away still gets messages')
  })

  it('of each session ends separately, and is reported with its own date', (t) => {
    const { waiters, offline, sessionsOffline, poller, park } = openWaiters(t, 0)
    const [phone, laptop] = [poller('phone'), poller('laptop')]
    void park(laptop, 0, 10 * GRACE_MS)
    waiters.leave(phone, true)
    const endedAtMs = Date.now()
    assert.equal(waiters.lastSeenAtMs('ada', 'phone'), endedAtMs)

    t.mock.timers.tick(GRACE_MS + 1_000)

    assert.deepEqual(sessionsOffline, [['phone', endedAtMs]])
    assert.deepEqual(offline, [], 'the account is online')
    assert.equal(waiters.lastSeenAtMs('ada', 'laptop'), Date.now())
    waiters.close()
    assert.deepEqual(sessionsOffline.slice(1), [['laptop', Date.now()]])
  })

  it('lasts until the last of several polls', (t) => {
    const { waiters, poller } = openWaiters(t)
    const ada = poller()
    waiters.enter(ada)
    waiters.accept(ada)
    waiters.leave(ada, true)
    t.mock.timers.tick(10 * GRACE_MS)

    assert.equal(waiters.isOnline('ada'), true)
    waiters.leave(ada, true)
    t.mock.timers.tick(GRACE_MS)
    assert.equal(waiters.isOnline('ada'), false)
  })

  it('ends with the session, before and after its polls have ended', async (t) => {
    const { waiters, poller, park } = openWaiters(t, 0)
    const ada = poller()
    const wait = park(ada, 0)
    ada.ended = true
    waiters.endSession(ada)
    await settled(wait)
    waiters.leave(ada, true)
    assert.equal(waiters.isOnline('ada'), false)

    const again = poller()
    waiters.leave(again, true)
    assert.equal(waiters.isOnline('ada'), true)
    again.ended = true
    waiters.endSession(again)
    assert.equal(waiters.isOnline('ada'), false)
  })

  it('continues within the grace time of one session when another one ends', (t) => {
    const { waiters, poller } = openWaiters(t)
    const [phone, laptop] = [poller('phone'), poller('laptop')]
    waiters.leave(laptop, true)
    waiters.leave(phone, true)

    phone.ended = true
    waiters.endSession(phone)

    assert.equal(waiters.isOnline('ada'), true)
  })

  it('reports once, within a second, which account went offline and when its last poll ended', (t) => {
    const { waiters, poller, offline } = openWaiters(t)
    const ada = poller()
    t.mock.timers.tick(3_000)
    waiters.leave(ada, true)
    const endedAtMs = Date.now()

    t.mock.timers.tick(GRACE_MS - 1)
    assert.deepEqual(offline, [])
    t.mock.timers.tick(1_000)
    assert.deepEqual(offline, [['ada', endedAtMs]])

    t.mock.timers.tick(60_000)
    assert.equal(offline.length, 1)
  })

  it('lasts for the grace time, however the clock is set meanwhile', (t) => {
    const { waiters, poller, offline, stepClock } = openWaiters(t)
    waiters.leave(poller(), true)
    for (const byMs of [DAY_MS, -2 * DAY_MS, DAY_MS - 5_000]) {
      stepClock(byMs)
      assert.equal(waiters.isOnline('ada'), true)
    }
    t.mock.timers.tick(GRACE_MS - 1)
    assert.equal(waiters.isOnline('ada'), true)

    t.mock.timers.tick(1)

    assert.equal(waiters.isOnline('ada'), false)
    assert.deepEqual(offline, [['ada', 1_000_000]])
  })

  it('reports at a shutdown the accounts that are online, and no others', (t) => {
    const { waiters, poller, offline } = openWaiters(t)
    poller('phone', 'ada')
    waiters.leave(poller('tablet', 'bob'), true)
    t.mock.timers.tick(GRACE_MS)
    const toldBefore = offline.splice(0)

    waiters.close()

    assert.deepEqual(offline, [['ada', Date.now()]])
    assert.equal(toldBefore.length, 1, 'bob was reported when he went offline')
  })

  it('costs no memory when it is over, or without any poll', (t) => {
    const { waiters, poller } = openWaiters(t)
    waiters.deliver('bob', messages(1, 1))
    waiters.learn('bob', 1)
    assert.equal(waiters.newestSeq('bob'), undefined)

    const ada = poller()
    waiters.learn('ada', 7)
    t.mock.timers.tick(10 * GRACE_MS)
    assert.equal(waiters.newestSeq('ada'), 7, 'somebody polls')
    waiters.leave(ada, true)
    t.mock.timers.tick(GRACE_MS + 1_000)

    assert.equal(waiters.newestSeq('ada'), undefined)
    assert.equal(waiters.lastSeenAtMs('ada'), undefined)
  })

  it('leaves no stale number behind: after it a poll reads the store first', async (t) => {
    const { waiters, poller, park } = openWaiters(t)
    const ada = poller()
    waiters.learn('ada', 7)
    waiters.leave(ada, true)
    t.mock.timers.tick(GRACE_MS + 1_000)
    // No poll is parked, so none is answered.
    waiters.deliver('ada', messages(8, 8))

    assert.deepEqual(await settled(park(poller(), 7)), { kind: 'look' })
  })

  it('keeps the newest number exact within the grace time', async (t) => {
    const { waiters, poller, park } = openWaiters(t)
    const ada = poller()
    waiters.learn('ada', 7)
    waiters.leave(ada, true)

    waiters.deliver('ada', messages(8, 8))

    assert.equal(waiters.newestSeq('ada'), 8)
    assert.deepEqual(await settled(park(poller(), 7)), { kind: 'look' })
  })
})

interface TestPoller {
  id: string
  username: string
  ended: boolean
  /** Its polls do not make it online. */
  away: boolean
}

/**
 * Waiters with stopped clocks. The wall clock can also be set.
 *
 * @param newestSeq the newest number that every poll reads from the store first; undefined if it has not read
 * yet
 */
function openWaiters(t: TestContext, newestSeq?: number) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 })
  let steppedMs = 0
  t.mock.method(performance, 'now', () => Date.now() - 1_000_000)
  const offline: [username: string, lastSeenAtMs: number][] = []
  const sessionsOffline: [id: string, lastSeenAtMs: number][] = []
  const waiters = new Waiters(GRACE_MS, () => Date.now() + steppedMs, {
    onEnter: () => {},
    onOffline: (username, atMs, sessionId) =>
      sessionId === undefined ? offline.push([username, atMs]) : sessionsOffline.push([sessionId, atMs]),
  })
  t.after(() => waiters.close())

  const poller = (id = 'phone', username = 'ada', away = false): TestPoller => {
    const entered = { id, username, ended: false, away }
    waiters.enter(entered)
    if (!away) waiters.accept(entered)
    if (newestSeq !== undefined) waiters.learn(username, newestSeq)
    return entered
  }
  const park = (entered: TestPoller, cursor: number, waitMs = WAIT_MS, client: Connection = connection()) =>
    new Promise<WaitEnd>((wake) => {
      const tokenExpiresAtMs = TOKEN_EXPIRES_AT_MS
      const { away } = entered
      waiters.park({ poller: entered, cursor, tokenExpiresAtMs, connection: client, away, wake }, waitMs)
    })
  const stepClock = (byMs: number) => {
    steppedMs += byMs
  }
  return { waiters, offline, sessionsOffline, poller, park, stepClock }
}

/** The result of a settled promise, otherwise undefined. */
const settled = <T>(promise: Promise<T>) =>
  Promise.race([promise, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))])

const messages = (first: number, last: number): StoredMessage[] =>
  range(first, last).map((seq) => ({
    seq,
    id: `id ${seq}`,
    from: 'bob',
    body: `message ${seq}`,
    sentAtMs: Date.UTC(2026, 10, 23, 8),
  }))
