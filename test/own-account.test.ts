/** The own account: name, presence, the state of the inbox, sessions. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OwnSessions } from '../src/accounts/own-sessions.ts'
import type { Session } from '../src/accounts/sessions.ts'
import { adaAndBob, Client, type Person, seqsOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { shareServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const server = shareServer()
const multi = shareServer({ SESSION_POLICY: 'multi', PRESENCE_GRACE: '0s' })

const inboxOf = async (person: Person) => (await person.me()).body.inbox

const assertRefused = ({ status, body }: Answer, expected: number, code: string) =>
  assert.deepEqual([status, body.code], [expected, code], JSON.stringify(body))

describe('the own account', () => {
  it('is shown with its name, its presence, and an empty inbox at first', async () => {
    const { ada } = await adaAndBob(await server())

    const { status, body } = await ada.me()

    const { createdAt, ...rest } = body
    assert.equal(status, 200)
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
    assert.deepEqual(rest, {
      username: ada.username,
      displayName: ada.username,
      presence: 'everyone',
      inbox: { newest: 0, acknowledged: 0, unread: 0 },
    })
  })

  it('reports unread messages like the next read of the session, at once', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 5)
    assert.deepEqual(await inboxOf(ada), { newest: 5, acknowledged: 0, unread: 5 })

    await ada.poll({ after: 2, wait: 0 })
    assert.deepEqual(await inboxOf(ada), { newest: 5, acknowledged: 2, unread: 3 })
    await ada.acknowledge(4)
    assert.deepEqual(await inboxOf(ada), { newest: 5, acknowledged: 4, unread: 1 })

    assert.equal((await ada.poll({ wait: 0 })).body.messages[0].seq, 5)
    assert.deepEqual(await inboxOf(ada), { newest: 5, acknowledged: 4, unread: 1 }, 'reading is not taking')
  })

  it('counts the messages of a login as unread until its session has used the inbox', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 2)
    const newer = await client.enter(ada.username)
    assert.deepEqual(await inboxOf(newer), { newest: 2, acknowledged: 0, unread: 2 })

    await newer.poll({ wait: 0 })

    assert.deepEqual(await inboxOf(newer), { newest: 2, acknowledged: 2, unread: 0 })
  })

  it('counts the unacknowledged messages of each session', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const laptop = await client.enter(phone.username)
    await bob.sendMany(phone, 3)

    await phone.acknowledge(2)

    assert.deepEqual(await inboxOf(phone), { newest: 3, acknowledged: 2, unread: 1 })
    assert.deepEqual(await inboxOf(laptop), { newest: 3, acknowledged: 0, unread: 3 })
  })

  it('counts messages, and no receipts', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await sendWithReceipt(ada, bob, 'one')
    await sendWithReceipt(ada, bob, 'two')
    await bob.acknowledge(1)
    await bob.send(ada, 'hello')
    await bob.acknowledge(2)
    assert.deepEqual(await inboxOf(ada), { newest: 3, acknowledged: 0, unread: 1 })

    await ada.acknowledge(1)
    assert.deepEqual(await inboxOf(ada), { newest: 3, acknowledged: 1, unread: 1 })
    await ada.acknowledge(2)
    assert.deepEqual(await inboxOf(ada), { newest: 3, acknowledged: 2, unread: 0 })
  })

  it('counts neither numbers skipped at a restore nor messages purged unread', async () => {
    const { database, url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    await withSql(database, async ({ run }) => {
      await run('UPDATE account SET newest_seq = 1000, purged_seq = 3 WHERE username = ?', ada.username)
      await run(
        `INSERT INTO restored_range (account_id, from_seq, to_seq)
         SELECT id, 11, 1000 FROM account WHERE username = ?`,
        ada.username,
      )
    })
    assert.deepEqual(await inboxOf(ada), { newest: 1_000, acknowledged: 0, unread: 7 })

    await bob.send(ada, 'hello')

    assert.deepEqual(await inboxOf(ada), { newest: 1_001, acknowledged: 0, unread: 8 })
  })

  it('accepts another display name, which others see at once', async () => {
    const { client, ada, bob } = await adaAndBob(await server())

    const { status, body } = await ada.update({ displayName: 'Ada 🧮' })

    assert.deepEqual([status, body.displayName, body.presence], [200, 'Ada 🧮', 'everyone'])
    assert.equal((await bob.user(ada)).body.displayName, 'Ada 🧮')
    assert.equal((await client.login(ada.username)).body.displayName, 'Ada 🧮')
  })

  it('changes only the members of a request, and nothing with an empty one', async () => {
    const { ada } = await adaAndBob(await server())
    await ada.update({ displayName: 'Ada', presence: 'nobody' })

    for (const changes of [{}, { displayName: 'Ada' }, { presence: 'nobody' }] as const) {
      const { status, body } = await ada.update(changes)
      assert.deepEqual([status, body.displayName, body.presence], [200, 'Ada', 'nobody'])
    }
  })

  it('accepts no other members, and then changes nothing', async () => {
    const { ada } = await adaAndBob(await server())
    const before = (await ada.me()).body
    const wrong = {
      '/displayName': [{ displayName: '' }, { displayName: 'x'.repeat(65) }, { displayName: null }],
      '/presence': [{ presence: 'friends' }, { displayName: 'Ada', presence: true }],
      '/username': [{ username: 'grace' }, { displayName: 'Ada', username: 'grace' }],
    }
    for (const [pointer, bodies] of Object.entries(wrong))
      for (const body of bodies) {
        const answer = await ada.request('PATCH', '/v1/me', { body })
        assertRefused(answer, 400, 'invalid_request')
        assert.equal(answer.body.errors[0].pointer, pointer)
      }
    assertRefused(await ada.request('PATCH', '/v1/me', { body: '[]' }), 400, 'invalid_request')
    assert.deepEqual((await ada.me()).body, before)
  })
})

describe('the own sessions', () => {
  it('are listed, the newest first, with the label of the login and the one that asks', async () => {
    const { client, ada } = await adaAndBob(await multi())
    const phone = await client.enter(ada.username, { label: 'Ada’s phone 📱' })

    const { status, body } = await ada.sessions()

    const [newest, oldest, ...others] = body.sessions
    assert.deepEqual([status, others], [200, []])
    assert.deepEqual([newest.label, newest.current, newest.lastSeenAt], ['Ada’s phone 📱', false, undefined])
    assert.deepEqual(['label' in oldest, oldest.current], [false, true])
    assert.ok(Date.parse(newest.createdAt) >= Date.parse(oldest.createdAt))
    assert.ok(Date.parse(newest.expiresAt) > Date.now())
    assert.equal((await phone.sessions()).body.sessions[0].current, true)
  })

  it('accept a label of 1 to 64 characters', async () => {
    const { client, ada } = await adaAndBob(await server())
    for (const label of ['', '📱'.repeat(65), 'a\u0000b']) {
      const { status, body } = await client.login(ada.username, { label })
      assert.deepEqual([status, body.errors[0].pointer], [400, '/label'])
    }
    const newest = await client.enter(ada.username, { label: '📱'.repeat(64) })
    assert.equal((await newest.sessions()).body.sessions[0].label, '📱'.repeat(64))
  })

  it('show when a poll of each was last under way, except polls with away', async (t) => {
    const { client, ada } = await adaAndBob(await multi())
    const [phone, tablet] = [await client.enter(ada.username), await client.enter(ada.username)]
    // First, because only the first poll of an account shows in its presence.
    await park(t, ada, 'wait=55')
    const beforeMs = Date.now()
    await phone.poll({ wait: 0 })
    const phoneAtMs = Date.now()
    await tablet.poll({ wait: 0, away: true })

    const askedAtMs = Date.now()
    const { sessions } = (await ada.sessions()).body

    const [ofTablet, ofPhone, ofAda] = sessions.map(({ lastSeenAt }: { lastSeenAt?: string }) =>
      lastSeenAt === undefined ? undefined : Date.parse(lastSeenAt),
    )
    assert.equal(ofTablet, undefined)
    assert.ok(ofPhone >= beforeMs && ofPhone <= phoneAtMs)
    assert.ok(ofAda >= askedAtMs && ofAda <= Date.now(), 'its poll waits now')
  })

  it('keep that date while it is being written to the store', async () => {
    const session = { id: 'a', accountId: 1, username: 'ada' } as Session
    const dates = { memory: 5, store: undefined as number | undefined }
    const listed = () => ({
      ...{ id: 'a', label: undefined, createdAtMs: 0, expiresAtMs: 10, isElsewhere: false },
      lastSeenAtMs: dates.store,
    })
    const database = {
      listSessions: async () => {
        const read = [listed()]
        Object.assign(dates, { memory: 0, store: 5 })
        return read
      },
    }
    const lastSeen = { lastSeenAtMs: () => dates.memory }

    const [shown] = await new OwnSessions(database, { end: async () => {} }, lastSeen, () => 9).list(session)

    assert.equal(shown?.lastSeenAtMs, 5)
  })

  it('are not listed when they have expired', async () => {
    const { database, url } = await multi()
    const { client, ada } = await adaAndBob({ url })
    await client.enter(ada.username)
    const [expired] = (await ada.sessions()).body.sessions
    await withSql(database, ({ run }) =>
      run('UPDATE session SET expires_at = ? WHERE id = ?', new Date(Date.now() - 1), expired.id),
    )

    assert.equal((await ada.sessions()).body.sessions.length, 1)
    assertRefused(await ada.endSession(expired.id), 404, 'not_found')
  })

  it('are ended by their owner: before the answer, the token is invalid and the polls are answered', async (t) => {
    const { client, ada } = await adaAndBob(await multi())
    const lost = await client.enter(ada.username)
    const poll = await park(t, lost, 'wait=55')
    const [{ id }] = (await ada.sessions()).body.sessions

    assert.equal((await ada.endSession(id)).status, 204)

    assertRefused(await lost.me(), 401, 'session_ended')
    assertRefused(await poll.answer(), 401, 'session_ended')
    assert.deepEqual((await ada.sessions()).body.sessions.length, 1)
    assertRefused(await ada.endSession(id), 404, 'not_found')
    assert.equal((await ada.poll({ wait: 0 })).status, 200)
  })

  it('can be ended only by their owner; any other id is not found', async () => {
    const { ada, bob } = await adaAndBob(await multi())
    const [{ id }] = (await ada.sessions()).body.sessions

    assertRefused(await bob.endSession(id), 404, 'not_found')
    assertRefused(await bob.endSession('no-such-session'), 404, 'not_found')
    assertRefused(await bob.endSession('not%20an%20id'), 400, 'invalid_request')

    assert.equal((await ada.me()).status, 200)
  })

  it('pass on to the next login what their polls have just acknowledged', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 2)
    await ada.poll({ after: 1, wait: 0 })
    const [own] = (await ada.sessions()).body.sessions

    await ada.endSession(own.id)

    const { offlineMessages } = (await client.login(ada.username)).body
    assert.deepEqual(seqsOf(offlineMessages), [2])
  })

  it('end by their own request like by a logout, without acknowledging', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const [id = ''] = await bob.sendMany(ada, 2)
    const newer = await client.enter(ada.username)
    const beforeMs = Date.now()
    const [own] = (await newer.sessions()).body.sessions
    assert.equal((await newer.endSession(own.id)).status, 204)

    assertRefused(await newer.me(), 401, 'session_ended')
    assert.equal((await bob.status(id)).body.state, 'stored')
    const { online, lastSeenAt } = (await bob.user(ada)).body
    assert.equal(online, false)
    assert.ok(Date.parse(lastSeenAt) >= beforeMs)

    const next = await client.login(ada.username)
    assert.equal(next.body.offlineMessages.length, 2, 'they come again')
  })

  it('keep over a restart when they were last polled, even if the account stayed online', async (t) => {
    // The last test with this server.
    const first = await multi()
    const { client, ada } = await adaAndBob(first)
    const phone = await client.enter(ada.username)
    const seenAt = async () => (await ada.sessions()).body.sessions[0].lastSeenAt
    await park(t, ada, 'wait=55')
    await phone.poll({ wait: 0 })
    const phoneSeenAt = await seenAt()
    await eventually('the date is in the store', async () => {
      const [row] = await withSql(first.database, ({ run }) =>
        run(
          `SELECT count(session.last_seen_at) AS n FROM session JOIN account ON account.id = account_id
            WHERE username = ?`,
          ada.username,
        ),
      )
      return Number(row?.['n']) === 1
    })
    assert.equal(await seenAt(), phoneSeenAt)
    const beforeMs = Date.now()
    await first.stop()

    const second = await startServer(t, { SESSION_POLICY: 'multi' }, first.database)
    const { body } = await new Client(second).get('/v1/me/sessions', { token: ada.token })
    const [ofPhone, ofAda] = body.sessions
    assert.equal(ofPhone.lastSeenAt, phoneSeenAt)
    assert.ok(Date.parse(ofAda.lastSeenAt) >= beforeMs, 'its poll waited until the end')
  })
})
