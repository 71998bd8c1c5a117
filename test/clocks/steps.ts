/** The wall clock is set while a server runs: running operations continue, and later ones work as before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, newName, type Person, passwordOf } from '../support/client.ts'
import { wallClock } from '../support/clocks.ts'
import { onPostgres } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { type ParkedPoll, park } from '../support/parked.ts'
import { startServer } from '../support/servers.ts'
import { claimsOf } from '../support/tokens.ts'

/** Within a second; on PostgreSQL after the next read of the database time, within two seconds. */
const NOTICED_MS_MAX = onPostgres ? 5_000 : 2_500

const ENV = {
  RATE_LIMITS: 'on',
  TRUST_PROXY: 'loopback',
  PRESENCE_GRACE: '1s',
  RETENTION: '1s',
  MESSAGE_TTL: '1h',
  TOKEN_TTL: '7d',
}

/** @param steps the names, and by how many milliseconds the clock is set */
export function itStandsSteps(steps: Record<string, number>): void {
  test('a wall clock that is set while the server runs', async (t) => {
    const clock = await wallClock(t)
    const server = await startServer(t, ENV, clock.database)
    const client = new Client(server)
    const witness = await join(client, 'witness')
    // Polls after each step.
    let seen = await join(client, 'seen')
    const isGood = ({ token }: Person) => Number(claimsOf(token)['exp']) * 1_000 > clock.now()

    for (const [name, byMs] of Object.entries(steps)) {
      await t.test(name, async (t) => {
        const before = await prepare(client)
        const parked = await park(t, before.waiting, 'wait=55')

        await clock.step(byMs)
        const steppedMs = performance.now()
        await eventually('the server has noticed', async () => {
          const { status, body } = await before.sender.send(before.sender, 'what time is it?')
          return status === 401 || Math.abs(Date.parse(body.sentAt) - clock.now()) < 60_000
        })
        const observer = await join(client, newName('observer'))

        await Promise.all([
          limitsNobody(client, before),
          answersNoPollEarly(observer),
          keepsNobodyOnline(client, observer, before.gone),
          remembersKeys(client, before, isGood(before.sender)),
          keepsUnread(client, before),
          isGood(before.waiting)
            ? goesOn(parked, observer, before.waiting)
            : endsWithItsToken(parked, steppedMs),
        ])
        if (!isGood(seen)) seen = await client.enter('seen')
        await seesAgain(observer, seen, clock.now)
      })
    }

    await t.test('keeps a session whose token is valid again', async () => {
      assert.equal((await witness.poll({ wait: 0 })).status, 200)
    })

    await t.test('is no fault', () => {
      assert.deepEqual(
        server.logs.filter(({ level }) => level >= 50),
        [],
      )
    })
  })
}

/** Registers an account outside the limit on registrations, and logs in. */
async function join(client: Client, username: string): Promise<Person> {
  addresses += 1
  await client.post(
    '/v1/register',
    { username, password: passwordOf(username) },
    { headers: { 'x-forwarded-for': `2001:db8:${addresses}::1` } },
  )
  return client.enter(username)
}

let addresses = 0

interface Before {
  /** Has given wrong passwords. */
  guesser: string
  /** Polled a moment ago. */
  gone: Person
  waiting: Person
  sender: Person
  /** Has one unread message. */
  unread: string
  key: string
  id: string
}

/** The state before the clock is set: an account has used each limit. */
async function prepare(client: Client): Promise<Before> {
  const [guesser, unread, gone, waiting, sender] = (await Promise.all(
    ['guesser', 'unread', 'gone', 'waiting', 'sender'].map((name) => join(client, newName(name))),
  )) as [Person, Person, Person, Person, Person]
  for (const password of ['a wrong one', 'another wrong one'])
    await client.login(guesser.username, { password })
  for (const _ of [1, 2, 3]) await gone.poll({ after: 0, wait: 0 })
  const key = `key-of-${sender.username}`
  const { id } = (await sender.send(unread, 'read me', key)).body
  return { guesser: guesser.username, unread: unread.username, gone, waiting, sender, key, id }
}

async function limitsNobody(client: Client, { guesser }: Before) {
  assert.equal((await client.login(guesser, { password: 'a wrong one' })).status, 401)
  assert.equal((await client.login(guesser)).status, 200)
}

async function answersNoPollEarly(person: Person) {
  const { cursor } = (await person.poll({ wait: 0 })).body
  const startedMs = performance.now()
  const { status, body } = await person.poll({ after: cursor, wait: 1 })
  const tookMs = performance.now() - startedMs
  assert.deepEqual([status, body.messages], [200, []])
  assert.ok(tookMs > 990, `answered after ${tookMs} ms`)
}

async function keepsNobodyOnline(client: Client, observer: Person, { username }: Person) {
  await eventually('the grace time is over', async () => !(await observer.user(username)).body.online, 3_000)
  assert.equal((await client.login(username)).status, 200)
}

async function remembersKeys(client: Client, { sender, unread, key, id }: Before, isGood: boolean) {
  const later = isGood ? sender : await client.enter(sender.username)
  const { status, headers, body } = await later.send(unread, 'read me', key)
  assert.deepEqual([status, headers.get('idempotent-replayed'), body.id], [201, 'true', id])
  const other = await later.send(unread, 'another text', key)
  assert.equal(other.body.code, 'idempotency_key_reused')
}

async function keepsUnread(client: Client, { unread, id, sender }: Before) {
  // At least two passes of the purge.
  const untilMs = performance.now() + 1_500
  await eventually('the purge has had its time', async () => performance.now() > untilMs)
  const { status, body } = await client.login(unread)
  assert.deepEqual([status, body.offlineMessages[0]?.id, body.gap], [200, id, undefined], sender.username)
}

async function goesOn(parked: ParkedPoll, sender: Person, { username }: Person) {
  await sender.send(username, 'still there?')
  const { status, body } = await parked.answer()
  assert.deepEqual([status, body.messages?.length], [200, 1])
}

async function endsWithItsToken(parked: ParkedPoll, steppedMs: number) {
  const { status, body } = await parked.answer()
  const tookMs = performance.now() - steppedMs
  assert.deepEqual([status, body.code], [401, 'invalid_token'])
  assert.ok(tookMs < NOTICED_MS_MAX, `after ${tookMs} ms`)
}

/** A wrong date is replaced by a right one. */
async function seesAgain(observer: Person, seen: Person, now: () => number) {
  const sinceMs = now() - 60_000
  await seen.poll({ wait: 0 })
  await eventually('the date is right, in the store too', async () => {
    const { online, lastSeenAt } = (await observer.user(seen.username)).body
    const seenMs = Date.parse(lastSeenAt)
    return !online && seenMs > sinceMs && seenMs <= now()
  })
}
