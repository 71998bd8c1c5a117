/** After a restore no number is repeated, and no client silently misses lost messages. */
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { backUp, copyWithoutMark, type Restore } from './support/backups.ts'
import { isPostgres } from './support/built.ts'
import { Client, type Message, type Person, range, seqsOf } from './support/client.ts'
import { runRestante } from './support/command.ts'
import { type Ending, endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { at } from './support/nodes.ts'
import { park } from './support/parked.ts'
import { type StartedServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

/** Those of ten readers and of bob. */
const RESTORED = /^The database was restored.*: 11 inboxes continue at higher numbers/

/** Tokens from before stay valid. Without a grace time, a poll can be noticed after an earlier one. */
const ENV = {
  JWT_SECRET: 'a secret that outlives the restore',
  SESSION_POLICY: 'multi',
  INBOX_LIMIT: '20',
  PRESENCE_GRACE: '0',
}

/** The clients of an inbox had seen and acknowledged this many messages, of which the backup has `KEPT`. */
const SEEN = 10
const KEPT = 6

async function restart(t: Ending, server: { stop: () => Promise<void> }, restore: Restore) {
  await server.stop()
  return startServer(t, ENV, await restore())
}

/** Sends several at once, and returns their ids. */
const sendAtOnce = (sender: Person, to: Person, count: number): Promise<string[]> =>
  Promise.all(range(1, count).map(async (number) => (await sender.send(to, `message ${number}`)).body.id))

const statesOf = (sender: Person, ids: string[]) =>
  Promise.all(ids.map(async (id) => (await sender.status(id)).body.state))

describe('after a restore', () => {
  const end = endOfSuite()
  let restored: StartedServer
  let bob: Person
  /** One per test. */
  const inboxes: { ada: Person; kept: string[]; lost: string[] }[] = []
  const nextInbox = () => inboxes.pop() ?? assert.fail('The backup needs another inbox.')
  /** What the sends answered before the restore. */
  const keyed: Record<string, { id: string }> = {}

  before(async () => {
    const server = await startServer(end, ENV)
    const client = new Client(server)
    const there = await client.join('bob')
    const adas = await Promise.all(range(1, 10).map((number) => client.join(`ada${number}`)))
    const sendToAll = (count: number) => Promise.all(adas.map((ada) => sendAtOnce(there, ada, count)))
    const kept = await sendToAll(KEPT)
    keyed['kept'] = (await there.send(there, 'kept', 'kept')).body
    const restore = await backUp(end, server.database)
    const lost = await sendToAll(SEEN - KEPT)
    keyed['lost'] = (await there.send(there, 'lost', 'lost')).body
    for (const ada of adas) assert.equal((await ada.acknowledge(SEEN)).status, 204)
    const carol = await client.join('carol')
    await sendAtOnce(carol, carol, 5)
    assert.equal((await carol.poll({ after: 0, wait: 0 })).body.cursor, 5)

    restored = await restart(end, server, restore)
    bob = at(restored, there)
    for (const [i, ada] of adas.entries())
      inboxes.push({ ada: at(restored, ada), kept: kept[i] ?? [], lost: lost[i] ?? [] })
  })

  for (const [when, count] of [
    ['before the inbox has any new messages', 0],
    ['before the inbox has outgrown its cursor', 1],
    ['after the inbox has outgrown its cursor', 7],
  ] as const) {
    it(`a client that had seen more gets a gap when it comes back ${when}`, async (t) => {
      const { ada, kept, lost } = nextInbox()
      const sent = await sendAtOnce(bob, ada, count)

      const { body } = await ada.poll({ after: SEEN, wait: 0 })

      const newest = body.cursor
      assert.deepEqual(body.gap, { from: SEEN + 1, to: newest - count, reason: 'restored' })
      assert.deepEqual(seqsOf(body.messages), range(newest - count + 1, newest))
      assert.deepEqual(body.messages.map(({ id }: Message) => id).sort(), sent.sort())
      assert.ok(newest - count > 1e15, 'No number that was given out can come again.')
      assert.equal(body.hasMore, false)
      assert.deepEqual(
        await statesOf(bob, lost),
        lost.map(() => undefined),
      )
      assert.deepEqual(
        await statesOf(bob, kept),
        kept.map(() => 'delivered'),
      )
      assert.deepEqual(
        await statesOf(bob, sent),
        sent.map(() => 'stored'),
      )
      assert.equal((await bob.status(lost[0] as string)).status, 404)
      // The gap is reported once, and a poll after it waits as usual.
      const poll = await park(t, ada, `after=${newest}`)
      await bob.send(ada, 'at last')
      const { body: next } = await poll.answer()
      assert.deepEqual([seqsOf(next.messages), next.gap], [[newest + 1], undefined])
    })
  }

  it('a client that had seen less reads on, up to the gap and over it', async () => {
    const { ada } = nextInbox()
    await sendAtOnce(bob, ada, 2)

    const first = (await ada.poll({ after: 4, wait: 0 })).body
    assert.deepEqual([seqsOf(first.messages), first.hasMore, first.gap], [range(5, KEPT), true, undefined])
    const second = (await ada.poll({ after: first.cursor, wait: 0 })).body
    assert.deepEqual([second.gap.from, second.gap.reason], [KEPT + 1, 'restored'])
    assert.deepEqual(seqsOf(second.messages), [second.gap.to + 1, second.gap.to + 2])
    assert.equal(second.hasMore, false)
    // The operator's counts exclude skipped numbers, too.
    await eventually('two of the messages are unread', async () => {
      const { inbox, stored } = await restored.operator.administration.show(ada.username)
      return inbox.acknowledged === KEPT && inbox.unread === 2 && stored === KEPT + 2
    })
  })

  it('a read without a cursor, and a login, report the gap', async () => {
    const { ada } = nextInbox()
    await sendAtOnce(bob, ada, 1)

    const all = (await ada.poll({ wait: 0 })).body
    assert.deepEqual([seqsOf(all.messages), all.hasMore, all.gap], [range(1, KEPT), true, undefined])
    const login = (await new Client(restored).login(ada.username)).body
    assert.deepEqual([seqsOf(login.offlineMessages), login.hasMore], [range(1, KEPT), true])
    await ada.acknowledge(KEPT)
    const behind = (await ada.poll({ wait: 0 })).body
    const again = (await new Client(restored).login(ada.username)).body
    for (const { messages, gap, cursor } of [behind, { ...again, messages: again.offlineMessages }]) {
      assert.deepEqual([gap.from, gap.reason], [KEPT + 1, 'restored'])
      assert.deepEqual(seqsOf(messages), [gap.to + 1])
      assert.equal(cursor, gap.to + 1)
    }
  })

  it('a cursor inside the gap can be acknowledged, one beyond the newest number cannot', async () => {
    const { ada } = nextInbox()
    assert.equal((await ada.acknowledge(SEEN)).status, 204)
    await sendAtOnce(bob, ada, 1)

    const { body } = await ada.poll({ wait: 0 })
    assert.deepEqual([body.gap.from, seqsOf(body.messages)], [SEEN + 1, [body.cursor]])
    assert.equal((await ada.acknowledge(body.cursor + 1)).body.code, 'cursor_ahead')
    assert.equal((await ada.acknowledge(body.gap.to)).status, 204)
    const { body: behind } = await ada.poll({ wait: 0 })
    assert.deepEqual([behind.gap, seqsOf(behind.messages)], [undefined, [body.cursor]])
  })

  it('a full inbox counts messages, not skipped numbers', async () => {
    const { ada } = nextInbox()
    const fill = async () => {
      const sent: string[] = []
      for (;;) {
        const { status, body } = await bob.send(ada, 'one more')
        if (status !== 201) return [sent.length, body.code]
        sent.push(body.id)
      }
    }

    assert.deepEqual(await fill(), [14, 'inbox_full'])
    await ada.acknowledge(2)
    assert.deepEqual(await fill(), [2, 'inbox_full'])
    await ada.acknowledge(SEEN)
    assert.deepEqual(await fill(), [4, 'inbox_full'])
    const { body } = await ada.poll({ wait: 0 })
    await ada.acknowledge(body.gap.to + 5)
    assert.deepEqual(await fill(), [5, 'inbox_full'])
  })

  it('a send repeated with its key is stored again only if it was lost', async () => {
    assert.deepEqual((await bob.send(bob, 'kept', 'kept')).body, keyed['kept'])
    const again = await bob.send(bob, 'lost', 'lost')
    assert.deepEqual([again.status, again.body.id === keyed['lost']?.id], [201, false])
  })

  it('a name registered after the backup, and again after the restore, repeats no number', async () => {
    const again = await new Client(restored).join('carol')
    const first = (await again.poll({ wait: 0 })).body
    assert.deepEqual([first.messages, first.gap], [[], undefined], 'a new inbox begins without a gap')
    await sendAtOnce(bob, again, 7)

    const { body } = await again.poll({ after: 5, wait: 0 })
    assert.deepEqual(body.gap, { from: 6, to: first.cursor, reason: 'restored' })
    assert.deepEqual(seqsOf(body.messages), range(first.cursor + 1, first.cursor + 7))
  })

  describe('and a further start', () => {
    const endOfStart = endOfSuite()
    let [reader, acknowledger, sleeper] = [] as unknown as [Reader, Reader, Reader]
    let started: StartedServer

    before(async () => {
      const readers = await Promise.all([nextInbox(), nextInbox(), nextInbox()].map(withNewMessages))
      ;[reader, acknowledger, sleeper] = readers as [Reader, Reader, Reader]
      await reader.ada.acknowledge(reader.newest)
      await acknowledger.ada.acknowledge(acknowledger.newest)
      await restored.stop()
      started = await startServer(endOfStart, { ...ENV, RETENTION: '0' }, restored.database)
      bob = at(started, bob)
    })

    it('the log has reported the restore once, and further numbers follow without a gap', async () => {
      const linesOf = ({ logs }: StartedServer) => logs.filter(({ msg }) => RESTORED.test(msg)).length
      assert.deepEqual([linesOf(restored), linesOf(started)], [1, 0])
      await bob.send(reader.ada, 'the next')
      const { body } = await at(started, reader.ada).poll({ after: reader.newest, wait: 0 })
      assert.deepEqual([seqsOf(body.messages), body.gap], [[reader.newest + 1], undefined])
    })

    it('acknowledged messages are purged before and after the gap, which keeps its reason', async () => {
      const { ada, newest } = acknowledger
      await allGone(started, ada)

      await bob.send(ada, 'the next')
      for (const after of [0, 4, SEEN, newest - NEW, newest - 3]) {
        const { body } = await at(started, ada).poll({ after, wait: 0 })
        const reason = after < newest - NEW ? 'restored' : 'purged'
        assert.deepEqual(body.gap, { from: after + 1, to: newest, reason })
        assert.deepEqual(seqsOf(body.messages), [newest + 1])
      }
    })

    // The last one, because it stops the server of the others.
    it('unread messages expire before and after the gap, and the purge finishes', async (t) => {
      const { ada, newest } = sleeper
      await started.stop()
      const expiring = await startServer(t, { ...ENV, MESSAGE_TTL: '1s' }, restored.database)
      await allGone(expiring, ada)

      await at(expiring, bob).send(ada, 'the next')
      const { body } = await at(expiring, ada).poll({ after: 2, wait: 0 })
      assert.deepEqual(body.gap, { from: 3, to: newest, reason: 'restored' })
      assert.deepEqual(seqsOf(body.messages), [newest + 1])
    })
  })

  /** Messages after the gap. */
  const NEW = 9
  async function withNewMessages({ ada }: { ada: Person }) {
    await sendAtOnce(bob, ada, NEW)
    // The refusal says the newest number.
    return { ada, newest: (await ada.acknowledge(Number.MAX_SAFE_INTEGER)).body.cursor as number }
  }
  type Reader = Awaited<ReturnType<typeof withNewMessages>>
})

it('a second and a third restore, of the same backup and of a later one, repeat no number', async (t) => {
  const server = await startServer(t, ENV)
  const [ada, bob] = [await new Client(server).join('ada'), await new Client(server).join('bob')]
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
  await sendAtOnce(bob, ada, KEPT)
  const copy = await backUp(t, server.database)
  await sendAtOnce(bob, ada, SEEN - KEPT)
  let cursor = await readAll(ada, 0)
  assert.equal(cursor, SEEN)

  const first = await restart(t, server, copy)
  await sendAtOnce(at(first, bob), ada, 7)
  cursor = await readAll(at(first, ada), cursor)
  const later = await backUp(t, first.database)
  await sendAtOnce(at(first, bob), ada, 3)
  cursor = await readAll(at(first, ada), cursor)

  const second = await restart(t, first, later)
  await sendAtOnce(at(second, bob), ada, 5)
  const behind = (await at(second, ada).poll({ after: cursor, wait: 0 })).body
  assert.deepEqual([behind.gap.from, behind.gap.reason], [cursor + 1, 'restored'])
  cursor = await readAll(at(second, ada), cursor)

  const third = await restart(t, second, copy)
  await sendAtOnce(at(third, bob), ada, 12)
  const { body } = await at(third, ada).poll({ after: cursor, wait: 0 })
  assert.deepEqual([body.gap.from, body.gap.reason], [cursor + 1, 'restored'])
  assert.equal(body.messages.length, 12)
  await readAll(at(third, ada), 0)
})

describe('restante restored', () => {
  const end = endOfSuite()
  let restored: StartedServer
  let [ada, bob] = [] as unknown as [Person, Person]

  before(async () => {
    const server = await startServer(end, ENV)
    const people = [await new Client(server).join('ada'), await new Client(server).join('bob')] as const
    await sendAtOnce(people[1], people[0], KEPT)
    const restore = await copyWithoutMark(end, server.database)
    await sendAtOnce(people[1], people[0], SEEN - KEPT)
    await server.stop()
    const database = await restore()
    const { stdout } = await runRestante(database, ['restored'])
    assert.equal(stdout, '2 inboxes continue at higher numbers.\n')
    restored = await startServer(end, ENV, database)
    ;[ada, bob] = [at(restored, people[0]), at(restored, people[1])]
  })

  it('does the same after a restore that left no trace', async () => {
    await sendAtOnce(bob, ada, 7)
    const { body } = await ada.poll({ after: SEEN, wait: 0 })
    assert.deepEqual([body.gap.from, body.gap.reason, body.messages.length], [SEEN + 1, 'restored', 7])
  })

  it('waits for no node, delays no node, and refuses a file that is in use', async (t) => {
    // The refusal says the newest number.
    const { cursor } = (await ada.acknowledge(Number.MAX_SAFE_INTEGER)).body
    const poll = await park(t, ada, `after=${cursor}&wait=55`)
    let sending = true
    const sender = (async () => {
      const answers: number[] = []
      for (; sending; await pause(50)) answers.push((await bob.send('bob', 'to myself')).status)
      return answers
    })()

    const running = runRestante(restored.database, ['restored'])
    if (isPostgres(restored.database)) {
      assert.equal((await running).stdout, '2 inboxes continue at higher numbers.\n')
      await bob.send(ada, 'the next')
      const { body } = await poll.answer()
      assert.deepEqual(body.gap, { from: cursor + 1, to: body.cursor - 1, reason: 'restored' })
      assert.deepEqual(
        body.messages.map((message: Message) => message.body),
        ['the next'],
      )
    } else await assert.rejects(running, { stderr: /is in use by another Restante process/ })
    sending = false
    assert.deepEqual([...new Set(await sender)], [201])
  })
})

const allGone = ({ database }: StartedServer, { username }: Person) =>
  eventually('the inbox is empty', () =>
    withSql(database, async ({ run }) => {
      const messages = await run(
        'SELECT 1 FROM message JOIN account ON account.id = recipient_id WHERE username = ?',
        username,
      )
      return messages.length === 0
    }),
  )
