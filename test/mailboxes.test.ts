import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Entry } from '../src/database/database.ts'
import type { ClientConnection } from '../src/inbox/connection.ts'
import { Mailboxes } from '../src/inbox/mailboxes.ts'
import type { ReadingSession, WaitEnd } from '../src/inbox/poll.ts'
import { Presence } from '../src/presence.ts'
import { connection } from './support/connection.ts'
import { range } from './support/range.ts'

const NOW_MS = 1_000_000
const GRACE_MS = 8_000
/** How long a mailbox stays after its last poll. */
const KEPT_MS = 10_000
const WAIT_MS = 25_000
const DAY_MS = 86_400_000
const TOKEN_EXPIRES_AT_MS = NOW_MS + DAY_MS
/** Polls whose waits end at about the same time are answered together. */
const LATE_MS_MAX = 50

describe('the mailboxes', () => {
  it('give a poll the message right behind its cursor from memory', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 7)
    const wait = park(begin(), 7)

    mailboxes.deliver('ada', messages(8, 10))

    assert.deepEqual(await settled(wait), { kind: 'messages', messages: messages(8, 10) })
  })

  it('send a poll that is further behind to the store, so that nothing is skipped', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 7)
    const wait = park(begin(), 7)

    // As if another node had committed the message before it.
    mailboxes.deliver('ada', messages(9, 9))

    assert.deepEqual(await settled(wait), { kind: 'read' })
  })

  it('send a poll to the store when others committed in between, so that nothing is skipped', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 7)
    const wait = park(begin(), 7)

    // A batch with a duplicate idempotency key is committed in two parts.
    mailboxes.deliver('ada', [...messages(10, 10), ...messages(8, 8)])

    assert.deepEqual(await settled(wait), { kind: 'read' })
    assert.equal(mailboxes.newestSeq('ada'), 10)
  })

  it('send a poll whose cursor lies inside a batch to the store, so that nothing is repeated', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 7)
    const wait = park(begin(), 8)

    mailboxes.deliver('ada', messages(8, 10))

    assert.deepEqual(await settled(wait), { kind: 'read' })
  })

  it('do not park a poll while the newest number is unknown, or newer than its cursor', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t)
    const ada = begin()
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'read' })

    mailboxes.noteNewestSeq('ada', 3)

    assert.deepEqual(await settled(park(ada, 2)), { kind: 'read' })
    assert.equal(await settled(park(ada, 3)), undefined)
  })

  it('notice, when they park a poll, commits since it began, even after an older read', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t)
    const ada = begin()
    // The message arrives while the poll reads; its page is older.
    mailboxes.deliver('ada', messages(1, 1))
    mailboxes.noteNewestSeq('ada', 0)

    assert.equal(mailboxes.newestSeq('ada'), 1, 'it never moves back')
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'read' })
  })

  it('answer a poll with nothing when its time is over, and not before', async (t) => {
    const { begin, park } = openMailboxes(t, 0)
    const wait = park(begin(), 0, 5_000)

    t.mock.timers.tick(4_999)
    assert.equal(await settled(wait), undefined)
    t.mock.timers.tick(LATE_MS_MAX + 1)

    assert.deepEqual(await settled(wait), { kind: 'timeout' })
  })

  it('answer a poll whose token has expired, within a second, also when the clock was set', async (t) => {
    const { begin, park, stepClock } = openMailboxes(t, 0)
    const ada = begin()
    const wait = park(ada, 0, 2 * DAY_MS)
    stepClock(DAY_MS - 1_001)
    t.mock.timers.tick(1_000)
    assert.equal(await settled(wait), undefined, 'a millisecond is left')

    stepClock(1)
    t.mock.timers.tick(1_000)

    assert.deepEqual(await settled(wait), { kind: 'expired' })
  })

  it('let a poll wait as long as it asked for, however the clock is set meanwhile', async (t) => {
    const { begin, park, stepClock } = openMailboxes(t, 0)
    const wait = park(begin(), 0, 5_000)

    for (const byMs of [-3_650 * DAY_MS, 3_650 * DAY_MS, 3_600_000, -3_600_000]) {
      stepClock(byMs)
      t.mock.timers.tick(byMs === 3_650 * DAY_MS ? 0 : 1_000)
    }
    assert.equal(await settled(wait), undefined)
    t.mock.timers.tick(2_000 + LATE_MS_MAX)

    assert.deepEqual(await settled(wait), { kind: 'timeout' })
  })

  it('share a timer among polls that end at about the same time', (t) => {
    const { begin, park } = openMailboxes(t, 0)
    const timers = t.mock.method(globalThis, 'setTimeout')

    for (const number of range(1, 1_000)) void park(begin(`phone ${number}`, `user ${number}`), 0, 5_000)

    // One timer per 50 ms of their arrival; without this it would be one per poll.
    assert.ok(timers.mock.callCount() < 100, `${timers.mock.callCount()} timers`)
  })

  it('forget a poll at once when its client disconnects', async (t) => {
    const { begin, park } = openMailboxes(t, 0)
    const client = connection()
    const wait = park(begin(), 0, WAIT_MS, client)

    client.destroy()

    assert.deepEqual(await settled(wait), { kind: 'gone' })
  })

  it('do not park a poll whose client disconnects during the read', async (t) => {
    const { begin, park } = openMailboxes(t, 0)
    const ada = begin()

    const wait = park(ada, 0, WAIT_MS, connection().destroy())

    assert.deepEqual(await settled(wait), { kind: 'gone' })
  })

  it('keep the newer poll of a session when the connection of an older one ends late', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 0)
    const client = connection()
    const ada = begin()
    const older = park(ada, 0, 1_000, client)
    t.mock.timers.tick(1_000 + LATE_MS_MAX)
    assert.deepEqual(await settled(older), { kind: 'timeout' })
    const newer = park(ada, 0)

    client.destroy()

    mailboxes.deliver('ada', messages(1, 1))
    assert.deepEqual(await settled(newer), { kind: 'messages', messages: messages(1, 1) })
  })

  it('answer the oldest of nine polls of a session, and none of another session', async (t) => {
    const { begin, park } = openMailboxes(t, 0)
    const [phone, laptop] = [begin('phone'), begin('laptop')]
    const onLaptop = park(laptop, 0)
    const onPhone = range(1, 8).map(() => park(phone, 0))
    assert.equal(await settled(Promise.race([onLaptop, ...onPhone])), undefined)

    const ninth = park(phone, 0)

    const [oldest, ...others] = onPhone
    assert.ok(oldest && (await settled(oldest)), 'it is answered')
    assert.equal(await settled(Promise.race([onLaptop, ...others, ninth])), undefined)
  })

  it('answer the polls of a session that ends, and no others', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 0)
    const [phone, laptop] = [begin('phone'), begin('laptop')]
    const onPhone = [park(phone, 0), park(phone, 0)]
    const onLaptop = park(laptop, 0)

    phone.ended = true
    mailboxes.endSession(phone, true)

    for (const wait of onPhone) assert.deepEqual(await settled(wait), { kind: 'ended', ended: true })
    assert.equal(await settled(onLaptop), undefined)
  })

  it('do not park a poll whose session ended while it read the store', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 0)
    const ada = begin()
    ada.ended = true
    mailboxes.endSession(ada, true)

    assert.deepEqual(await settled(park(ada, 0)), { kind: 'ended', ended: true })
  })

  it('answer all polls at a shutdown and every later one, with stored messages if there are any', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t, 1)
    const ada = begin()
    const wait = park(ada, 1)

    mailboxes.close()

    assert.deepEqual(await settled(wait), { kind: 'closing' })
    assert.deepEqual(await settled(park(ada, 1)), { kind: 'closing' })
    assert.deepEqual(await settled(park(ada, 0)), { kind: 'read' })
  })

  it('cost no memory a while after the last poll, or without any', (t) => {
    const { mailboxes, begin } = openMailboxes(t)
    mailboxes.deliver('bob', messages(1, 1))
    mailboxes.noteNewestSeq('bob', 1)
    assert.equal(mailboxes.newestSeq('bob'), undefined)

    begin()
    mailboxes.noteNewestSeq('ada', 7)
    t.mock.timers.tick(10 * KEPT_MS)
    assert.equal(mailboxes.newestSeq('ada'), 7, 'a poll is under way')
    mailboxes.leave('ada')
    t.mock.timers.tick(KEPT_MS + 1_000)

    assert.deepEqual([mailboxes.newestSeq('ada'), mailboxes.has('ada')], [undefined, false])
  })

  it('leave no stale number behind: later a poll reads the store first', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t)
    begin()
    mailboxes.noteNewestSeq('ada', 7)
    mailboxes.leave('ada')
    t.mock.timers.tick(KEPT_MS + 1_000)
    // No poll is parked, so none is answered.
    mailboxes.deliver('ada', messages(8, 8))

    assert.deepEqual(await settled(park(begin(), 7)), { kind: 'read' })
  })

  it('keep the newest number exact between two polls', async (t) => {
    const { mailboxes, begin, park } = openMailboxes(t)
    begin()
    mailboxes.noteNewestSeq('ada', 7)
    mailboxes.leave('ada')
    t.mock.timers.tick(KEPT_MS - 1)

    mailboxes.deliver('ada', messages(8, 8))

    assert.equal(mailboxes.newestSeq('ada'), 8)
    assert.deepEqual(await settled(park(begin(), 7)), { kind: 'read' })
  })
})

describe('presence', () => {
  it('lasts from the start of a poll until the grace time after its end', (t) => {
    const { presence, begin } = openPresence(t)
    assert.equal(presence.isOnlineHere('ada'), false)
    const ada = begin()
    t.mock.timers.tick(10 * GRACE_MS)
    assert.equal(presence.isOnlineHere('ada'), true)

    presence.removePoll(ada)
    t.mock.timers.tick(GRACE_MS - 1)
    assert.equal(presence.isOnlineHere('ada'), true)
    t.mock.timers.tick(1)

    assert.equal(presence.isOnlineHere('ada'), false)
  })

  it('of each session ends separately, and is reported with its own date', (t) => {
    const { presence, accountsSeen, sessionsSeen, begin } = openPresence(t)
    const phone = begin('phone')
    begin('laptop')
    presence.removePoll(phone)
    const endedAtMs = Date.now()
    assert.equal(presence.lastSeenAtMs('ada', 'phone'), endedAtMs)

    t.mock.timers.tick(GRACE_MS + 1_000)

    assert.deepEqual(sessionsSeen, [['phone', endedAtMs]])
    assert.deepEqual(accountsSeen, [], 'the account is online')
    assert.equal(presence.lastSeenAtMs('ada', 'laptop'), Date.now())
    presence.close()
    assert.deepEqual(sessionsSeen.slice(1), [['laptop', Date.now()]])
  })

  it('lasts until the last of several polls', (t) => {
    const { presence, begin } = openPresence(t)
    const ada = begin()
    presence.addPoll(ada)
    presence.removePoll(ada)
    t.mock.timers.tick(10 * GRACE_MS)

    assert.equal(presence.isOnlineHere('ada'), true)
    presence.removePoll(ada)
    t.mock.timers.tick(GRACE_MS)
    assert.equal(presence.isOnlineHere('ada'), false)
  })

  it('ends with the session, before and after its polls have ended', (t) => {
    const { presence, begin } = openPresence(t)
    const ada = begin()
    presence.endSession(ada)
    presence.removePoll(ada)
    assert.equal(presence.isOnlineHere('ada'), false)

    const again = begin('tablet')
    presence.removePoll(again)
    assert.equal(presence.isOnlineHere('ada'), true)
    presence.endSession(again)
    assert.equal(presence.isOnlineHere('ada'), false)
  })

  it('continues within the grace time of one session when another one ends', (t) => {
    const { presence, begin } = openPresence(t)
    const [phone, laptop] = [begin('phone'), begin('laptop')]
    presence.removePoll(laptop)
    presence.removePoll(phone)

    presence.endSession(phone)

    assert.equal(presence.isOnlineHere('ada'), true)
    assert.deepEqual(
      [presence.isSessionOnlineHere(phone), presence.isSessionOnlineHere(laptop)],
      [false, true],
    )
  })

  it('reports once when a session comes online, and once when it no longer is', (t) => {
    const { presence, changes, begin } = openPresence(t)
    const [phone, laptop] = [begin('phone'), begin('laptop')]
    for (let poll = 0; poll < 100; poll += 1) {
      presence.removePoll(phone)
      presence.addPoll(phone)
    }
    assert.deepEqual(changes, ['+ phone', '+ laptop'])

    presence.removePoll(phone)
    t.mock.timers.tick(GRACE_MS + 1_000)
    assert.deepEqual(changes.splice(0), ['+ phone', '+ laptop', '- phone'])
    begin('phone')
    presence.endSession(laptop)
    assert.deepEqual(changes.splice(0), ['+ phone'], 'a poll of the laptop is under way')
    presence.removePoll(laptop)
    t.mock.timers.tick(10 * GRACE_MS)

    assert.deepEqual(changes, ['- laptop'])
  })

  it('does not report a session as offline that is back before the next sweep', (t) => {
    const { presence, changes, begin } = openPresence(t)
    const ada = begin()
    presence.removePoll(ada)
    // The grace time is over, and the next sweep is still to come.
    t.mock.timers.setTime(Date.now() + GRACE_MS)
    assert.equal(presence.isSessionOnlineHere(ada), false)

    presence.addPoll(ada)
    t.mock.timers.tick(2_000)

    assert.deepEqual([presence.isSessionOnlineHere(ada), changes], [true, ['+ phone']])
  })

  it('reports once, within a second, which account went offline and when its last poll ended', (t) => {
    const { presence, accountsSeen, begin } = openPresence(t)
    const ada = begin()
    t.mock.timers.tick(3_000)
    presence.removePoll(ada)
    const endedAtMs = Date.now()

    t.mock.timers.tick(GRACE_MS - 1)
    assert.deepEqual(accountsSeen, [])
    t.mock.timers.tick(1_000)
    assert.deepEqual(accountsSeen, [['ada', endedAtMs]])

    t.mock.timers.tick(60_000)
    assert.equal(accountsSeen.length, 1)
  })

  it('lasts for the grace time, however the clock is set meanwhile', (t) => {
    const { presence, accountsSeen, begin, stepClock } = openPresence(t)
    presence.removePoll(begin())
    for (const byMs of [DAY_MS, -2 * DAY_MS, DAY_MS - 5_000]) {
      stepClock(byMs)
      assert.equal(presence.isOnlineHere('ada'), true)
    }
    t.mock.timers.tick(GRACE_MS - 1)
    assert.equal(presence.isOnlineHere('ada'), true)

    t.mock.timers.tick(1)

    assert.equal(presence.isOnlineHere('ada'), false)
    assert.deepEqual(accountsSeen, [['ada', NOW_MS]])
  })

  it('reports at a shutdown the accounts that are online, and no others', (t) => {
    const { presence, accountsSeen, begin } = openPresence(t)
    begin('phone', 'ada')
    presence.removePoll(begin('tablet', 'bob'))
    t.mock.timers.tick(GRACE_MS)
    const reportedBefore = accountsSeen.splice(0)

    presence.close()

    assert.deepEqual(accountsSeen, [['ada', Date.now()]])
    assert.equal(reportedBefore.length, 1, 'bob was reported when he went offline')
  })

  it('costs no memory when it is over', (t) => {
    const { presence, begin } = openPresence(t)
    presence.removePoll(begin())
    t.mock.timers.tick(GRACE_MS + 1_000)

    assert.deepEqual([presence.lastSeenAtMs('ada'), presence.countOnlineHere()], [undefined, 0])
  })
})

/** Ada's session, or another one. */
const sessionOf = (id: string, username: string): ReadingSession => ({
  id,
  username,
  ended: false,
  accountId: 1,
  acknowledgedSeq: 0,
  offeredSeq: 0,
  handedSeq: 0,
})

/** Stops the clocks. The wall clock can also be set. */
function stopClocks(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: NOW_MS })
  let steppedMs = 0
  t.mock.method(performance, 'now', () => Date.now() - NOW_MS)
  const stepClock = (byMs: number) => {
    steppedMs += byMs
  }
  return { clock: () => Date.now() + steppedMs, stepClock }
}

/** @param newestSeq the newest number that every poll reads from the store first; undefined if it has not */
function openMailboxes(t: TestContext, newestSeq?: number) {
  const { clock, stepClock } = stopClocks(t)
  const mailboxes = new Mailboxes(clock)
  t.after(() => mailboxes.close())

  const begin = (id = 'phone', username = 'ada') => {
    mailboxes.enter(username)
    if (newestSeq !== undefined) mailboxes.noteNewestSeq(username, newestSeq)
    return sessionOf(id, username)
  }
  const park = (
    session: ReadingSession,
    cursor: number,
    waitMs = WAIT_MS,
    client: ClientConnection = connection(),
  ) =>
    new Promise<WaitEnd>((wake) => {
      const tokenExpiresAtMs = TOKEN_EXPIRES_AT_MS
      mailboxes.park({ session, cursor, tokenExpiresAtMs, connection: client, wake }, waitMs)
    })
  return { mailboxes, begin, park, stepClock }
}

function openPresence(t: TestContext) {
  const { clock, stepClock } = stopClocks(t)
  const presence = new Presence(GRACE_MS, clock)
  t.after(() => presence.close())
  const changes: string[] = []
  presence.on('online', (id) => changes.push(`+ ${id}`))
  presence.on('offline', (id) => changes.push(`- ${id}`))
  const accountsSeen: [username: string, atMs: number][] = []
  const sessionsSeen: [id: string, atMs: number][] = []
  presence.on('lastSeen', (username, atMs, id) =>
    id === undefined ? accountsSeen.push([username, atMs]) : sessionsSeen.push([id, atMs]),
  )

  const begin = (id = 'phone', username = 'ada') => {
    const session = { id, username }
    presence.addPoll(session)
    return session
  }
  return { presence, changes, accountsSeen, sessionsSeen, begin, stepClock }
}

/** The result of a settled promise, otherwise undefined. */
const settled = <T>(promise: Promise<T>) =>
  Promise.race([promise, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))])

const messages = (first: number, last: number): Entry[] =>
  range(first, last).map((seq) => ({
    seq,
    id: `id ${seq}`,
    from: 'bob',
    body: `message ${seq}`,
    sentAtMs: Date.UTC(2026, 10, 23, 8),
  }))
