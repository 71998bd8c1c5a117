/** After a restore no number is repeated, and no client silently misses lost messages. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { backUp, copyWithoutMark, type Restore } from './support/backups.ts'
import { isPostgres } from './support/built.ts'
import { Client, type Message, type Person, range, seqsOf } from './support/client.ts'
import { runRestante } from './support/command.ts'
import { eventually } from './support/eventually.ts'
import { at } from './support/nodes.ts'
import { park } from './support/parked.ts'
import { type Env, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const RESTORED = /^The database was restored.*: 2 inboxes continue at higher numbers/

/** Tokens from before stay valid. */
const SECRET = 'a secret that outlives the restore'

/** Ada's inbox: 42 messages, of which the backup has 30. */
async function backedUp(t: TestContext, env: Env = {}) {
  const server = await startServer(t, { JWT_SECRET: SECRET, ...env })
  const [ada, bob] = [await new Client(server).join('ada'), await new Client(server).join('bob')]
  const kept = await sendAtOnce(bob, ada, 30)
  const restore = await backUp(t, server.database)
  const lost = await sendAtOnce(bob, ada, 12)
  return { server, ada, bob, kept, lost, copy: restore, restore: () => restart(t, server, restore, env) }
}

async function restart(t: TestContext, server: { stop: () => Promise<void> }, restore: Restore, env: Env) {
  await server.stop()
  return startServer(t, { JWT_SECRET: SECRET, ...env }, await restore())
}

/** Sends several at once, and returns their ids. */
const sendAtOnce = (sender: Person, to: Person, count: number): Promise<string[]> =>
  Promise.all(range(1, count).map(async (number) => (await sender.send(to, `message ${number}`)).body.id))

const statesOf = (sender: Person, ids: string[]) =>
  Promise.all(ids.map(async (id) => (await sender.status(id)).body.state))

describe('a client that had seen more than the backup has', () => {
  for (const [when, count] of [
    ['before the inbox has any new messages', 0],
    ['before the inbox has outgrown its cursor', 3],
    ['after the inbox has outgrown its cursor', 15],
  ] as const) {
    it(`gets a gap when it comes back ${when}`, async (t) => {
      const { ada, bob, kept, lost, restore } = await backedUp(t)
      const restored = await restore()
      const [adaThere, bobThere] = [at(restored, ada), at(restored, bob)]
      const sent = await sendAtOnce(bobThere, ada, count)

      const { body } = await adaThere.poll({ after: 42, wait: 0 })

      const newest = body.cursor
      assert.deepEqual(body.gap, { from: 43, to: newest - count, reason: 'restored' })
      assert.deepEqual(seqsOf(body.messages), range(newest - count + 1, newest))
      assert.deepEqual(body.messages.map(({ id }: Message) => id).sort(), sent.sort())
      assert.ok(newest - count > 1e15, 'No number that was given out can come again.')
      assert.equal(body.hasMore, false)
      assert.deepEqual(
        await statesOf(bobThere, lost),
        lost.map(() => undefined),
      )
      assert.deepEqual(
        await statesOf(bobThere, kept),
        kept.map(() => 'delivered'),
      )
      assert.deepEqual(
        await statesOf(bobThere, sent),
        sent.map(() => 'stored'),
      )
      assert.equal((await bobThere.status(lost[0] as string)).status, 404)
      // The gap is reported once, and a poll after it waits as usual.
      const poll = await park(t, adaThere, `after=${newest}`)
      await bobThere.send(ada, 'at last')
      const { body: next } = await poll.answer()
      assert.deepEqual([seqsOf(next.messages), next.gap], [[newest + 1], undefined])
    })
  }
})

describe('after a restore', () => {
  it('a client that had seen less reads on, up to the gap and over it', async (t) => {
    const { ada, bob, restore } = await backedUp(t)
    const restored = await restore()
    const adaThere = at(restored, ada)
    await sendAtOnce(at(restored, bob), ada, 2)

    const first = (await adaThere.poll({ after: 20, wait: 0 })).body
    assert.deepEqual([seqsOf(first.messages), first.hasMore, first.gap], [range(21, 30), true, undefined])
    const second = (await adaThere.poll({ after: first.cursor, wait: 0 })).body
    assert.deepEqual([second.gap.from, second.gap.reason], [31, 'restored'])
    assert.deepEqual(seqsOf(second.messages), [second.gap.to + 1, second.gap.to + 2])
    assert.equal(second.hasMore, false)
    // The operator's counts exclude skipped numbers, too.
    await eventually('two of 32 are unread', async () => {
      const { inbox, stored } = await restored.operator.administration.show('ada')
      return inbox.acknowledged === 30 && inbox.unread === 2 && stored === 32
    })
  })

  it('a read without a cursor, and a login, report the gap', async (t) => {
    const { ada, bob, restore } = await backedUp(t, { SESSION_POLICY: 'multi' })
    await ada.acknowledge(42)
    const restored = await restore()
    const adaThere = at(restored, ada)
    await sendAtOnce(at(restored, bob), ada, 1)

    const all = (await adaThere.poll({ wait: 0 })).body
    assert.deepEqual([seqsOf(all.messages), all.hasMore, all.gap], [range(1, 30), true, undefined])
    const login = (await new Client(restored).login('ada')).body
    assert.deepEqual([seqsOf(login.offlineMessages), login.hasMore], [range(1, 30), true])
    await adaThere.acknowledge(30)
    const behind = (await adaThere.poll({ wait: 0 })).body
    const again = (await new Client(restored).login('ada')).body
    for (const { messages, gap, cursor } of [behind, { ...again, messages: again.offlineMessages }]) {
      assert.deepEqual([gap.from, gap.reason], [31, 'restored'])
      assert.deepEqual(seqsOf(messages), [gap.to + 1])
      assert.equal(cursor, gap.to + 1)
    }
  })

  it('a cursor inside the gap can be acknowledged, one beyond the newest number cannot', async (t) => {
    const { ada, bob, restore } = await backedUp(t)
    const restored = await restore()
    const adaThere = at(restored, ada)
    assert.equal((await adaThere.acknowledge(42)).status, 204)
    await sendAtOnce(at(restored, bob), ada, 1)

    const { body } = await adaThere.poll({ wait: 0 })
    assert.deepEqual([body.gap.from, seqsOf(body.messages)], [43, [body.cursor]])
    assert.equal((await adaThere.acknowledge(body.cursor + 1)).body.code, 'cursor_ahead')
    assert.equal((await adaThere.acknowledge(body.gap.to)).status, 204)
    const { body: behind } = await adaThere.poll({ wait: 0 })
    assert.deepEqual([behind.gap, seqsOf(behind.messages)], [undefined, [body.cursor]])
  })

  it('a full inbox counts messages, not skipped numbers', async (t) => {
    const { ada, bob, restore } = await backedUp(t, { INBOX_LIMIT: '45' })
    const restored = await restore()
    const [adaThere, bobThere] = [at(restored, ada), at(restored, bob)]
    const fill = async () => {
      const sent: string[] = []
      for (;;) {
        const { status, body } = await bobThere.send(ada, 'one more')
        if (status !== 201) return [sent.length, body.code]
        sent.push(body.id)
      }
    }

    assert.deepEqual(await fill(), [15, 'inbox_full'])
    await adaThere.acknowledge(10)
    assert.deepEqual(await fill(), [10, 'inbox_full'])
    await adaThere.acknowledge(42)
    assert.deepEqual(await fill(), [20, 'inbox_full'])
    const { body } = await adaThere.poll({ wait: 0 })
    await adaThere.acknowledge(body.gap.to + 5)
    assert.deepEqual(await fill(), [5, 'inbox_full'])
  })

  it('a send repeated with its key is stored again only if it was lost', async (t) => {
    const server = await startServer(t)
    const [ada, bob] = [await new Client(server).join('ada'), await new Client(server).join('bob')]
    const kept = (await bob.send(ada, 'kept', 'kept')).body
    const restore = await backUp(t, server.database)
    const lost = (await bob.send(ada, 'lost', 'lost')).body

    const restored = await restart(t, server, restore, {})
    const bobThere = await new Client(restored).enter('bob')

    assert.deepEqual((await bobThere.send(ada, 'kept', 'kept')).body, kept)
    const again = await bobThere.send(ada, 'lost', 'lost')
    assert.deepEqual([again.status, again.body.id === lost.id], [201, false])
  })

  it('a name registered after the backup, and again after the restore, repeats no number', async (t) => {
    const { server, ada, restore } = await backedUp(t)
    const carol = await new Client(server).join('carol')
    await sendAtOnce(carol, carol, 10)
    assert.equal((await carol.poll({ after: 0, wait: 0 })).body.cursor, 10)

    const restored = await restore()
    const again = await new Client(restored).join('carol')
    const first = (await again.poll({ wait: 0 })).body
    assert.deepEqual([first.messages, first.gap], [[], undefined], 'a new inbox begins without a gap')
    await sendAtOnce(at(restored, ada), again, 15)

    const { body } = await again.poll({ after: 10, wait: 0 })
    assert.deepEqual(body.gap, { from: 11, to: first.cursor, reason: 'restored' })
    assert.deepEqual(seqsOf(body.messages), range(first.cursor + 1, first.cursor + 15))
  })

  it('a second and a third restore, of the same backup and of a later one, repeat no number', async (t) => {
    const { ada, bob, copy, restore } = await backedUp(t, { SESSION_POLICY: 'multi' })
    const ids = new Map<number, string>()
    const note = ({ seq, id }: Message) => {
      assert.equal(ids.get(seq) ?? id, id, `Number ${seq} is given twice.`)
      ids.set(seq, id)
    }
    const readAll = async (person: Person, from: number) => {
      for (let after = from, more = true; more; ) {
        const { body } = await person.poll({ after, wait: 0, limit: 500 })
        for (const message of body.messages) note(message)
        after = body.cursor
        more = body.hasMore
        if (!more) return after
      }
      return from
    }
    let cursor = await readAll(ada, 0)
    assert.equal(cursor, 42)

    const env = { SESSION_POLICY: 'multi' }
    const first = await restore()
    await sendAtOnce(at(first, bob), ada, 20)
    cursor = await readAll(at(first, ada), cursor)
    const later = await backUp(t, first.database)
    await sendAtOnce(at(first, bob), ada, 3)
    cursor = await readAll(at(first, ada), cursor)

    const second = await restart(t, first, later, env)
    await sendAtOnce(at(second, bob), ada, 9)
    const behind = (await at(second, ada).poll({ after: cursor, wait: 0 })).body
    assert.deepEqual([behind.gap.from, behind.gap.reason], [cursor + 1, 'restored'])
    cursor = await readAll(at(second, ada), cursor)

    const third = await restart(t, second, copy, env)
    await sendAtOnce(at(third, bob), ada, 30)
    const { body } = await at(third, ada).poll({ after: cursor, wait: 0 })
    assert.deepEqual([body.gap.from, body.gap.reason], [cursor + 1, 'restored'])
    assert.equal(body.messages.length, 30)
    await readAll(at(third, ada), 0)
  })

  it('acknowledged messages are purged before and after the gap, which keeps its reason', async (t) => {
    const { ada, bob, restore } = await backedUp(t)
    const restored = await restore()
    await sendAtOnce(at(restored, bob), ada, 150)
    const { body } = await at(restored, ada).poll({ after: 42, wait: 0, limit: 500 })
    await at(restored, ada).acknowledge(body.cursor)
    await restored.stop()

    const purging = await startServer(t, { RETENTION: '0', JWT_SECRET: SECRET }, restored.database)
    await eventually('everything is purged', async () => (await count(restored.database)) === 0, 20_000)

    const [adaThere, bobThere] = [at(purging, ada), at(purging, bob)]
    await bobThere.send(ada, 'the next')
    for (const after of [0, 20, 42, body.gap.to, body.gap.to + 10]) {
      const { body: read } = await adaThere.poll({ after, wait: 0 })
      const reason = after < body.gap.to ? 'restored' : 'purged'
      assert.deepEqual(read.gap, { from: after + 1, to: body.cursor, reason })
      assert.deepEqual(seqsOf(read.messages), [body.cursor + 1])
    }
  })

  it('unread messages expire before and after the gap, and the purge finishes', async (t) => {
    const { ada, bob, restore } = await backedUp(t)
    const restored = await restore()
    await sendAtOnce(at(restored, bob), ada, 120)
    const newest = (await at(restored, ada).acknowledge(Number.MAX_SAFE_INTEGER)).body.cursor
    await restored.stop()

    const purging = await startServer(t, { MESSAGE_TTL: '1s', JWT_SECRET: SECRET }, restored.database)
    await eventually('everything has expired', async () => (await count(restored.database)) === 0, 20_000)

    await at(purging, bob).send(ada, 'the next')
    const { body } = await at(purging, ada).poll({ after: 12, wait: 0 })
    assert.deepEqual(body.gap, { from: 13, to: newest, reason: 'restored' })
    assert.deepEqual(seqsOf(body.messages), [newest + 1])
  })

  it('the log reports it once, and the next start is a normal start', async (t) => {
    const { ada, bob, restore } = await backedUp(t)
    const restored = await restore()
    assert.equal(restored.logs.filter(({ msg }) => RESTORED.test(msg)).length, 1)
    await sendAtOnce(at(restored, bob), ada, 2)
    const { cursor } = (await at(restored, ada).poll({ after: 42, wait: 0 })).body
    await restored.stop()

    const again = await startServer(t, { JWT_SECRET: SECRET }, restored.database)

    assert.deepEqual(
      again.logs.filter(({ msg }) => RESTORED.test(msg)),
      [],
    )
    await sendAtOnce(at(again, bob), ada, 1)
    const { body } = await at(again, ada).poll({ after: cursor, wait: 0 })
    assert.deepEqual([seqsOf(body.messages), body.gap], [[cursor + 1], undefined])
  })
})

describe('restante restored', () => {
  it('does the same after a restore that left no trace', async (t) => {
    const server = await startServer(t, { JWT_SECRET: SECRET })
    const [ada, bob] = [await new Client(server).join('ada'), await new Client(server).join('bob')]
    await sendAtOnce(bob, ada, 30)
    const restore = await copyWithoutMark(t, server.database)
    await sendAtOnce(bob, ada, 12)
    await server.stop()
    const database = await restore()

    const { stdout } = await runRestante(database, ['restored'])

    assert.equal(stdout, '2 inboxes continue at higher numbers.\n')
    const restored = await startServer(t, { JWT_SECRET: SECRET }, database)
    await sendAtOnce(at(restored, bob), ada, 15)
    const { body } = await at(restored, ada).poll({ after: 42, wait: 0 })
    assert.deepEqual([body.gap.from, body.gap.reason, body.messages.length], [43, 'restored', 15])
  })

  it('waits for no node, delays no node, and refuses a file that is in use', async (t) => {
    const server = await startServer(t)
    const [ada, bob] = [await new Client(server).join('ada'), await new Client(server).join('bob')]
    await sendAtOnce(bob, ada, 3)
    const poll = await park(t, ada, 'after=3&wait=55')
    let sending = true
    const sender = (async () => {
      const answers: number[] = []
      for (; sending; await pause(5)) answers.push((await bob.send('bob', 'to myself')).status)
      return answers
    })()

    const running = runRestante(server.database, ['restored'])
    if (isPostgres(server.database)) {
      assert.equal((await running).stdout, '2 inboxes continue at higher numbers.\n')
      await bob.send(ada, 'the fourth')
      const { body } = await poll.answer()
      assert.deepEqual(body.gap, { from: 4, to: body.cursor - 1, reason: 'restored' })
      assert.deepEqual(
        body.messages.map((message: Message) => message.body),
        ['the fourth'],
      )
    } else await assert.rejects(running, { stderr: /is in use by another Restante process/ })
    sending = false
    assert.deepEqual([...new Set(await sender)], [201])
  })
})

const count = (database: string) =>
  withSql(database, async ({ run }) => Number((await run('SELECT count(*) AS n FROM message'))[0]?.['n']))
