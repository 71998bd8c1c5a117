/** A checker that cannot fail proves nothing, so each promise is broken once by hand. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judge } from './faults/checker.ts'
import type {
  ClientRequest,
  Exchange,
  History,
  InjectedFault,
  Outcome,
  StoredInbox,
} from './faults/history.ts'
import { range } from './support/range.ts'

const SECOND = 1_000

/** An exchange of ada's; the times in ms. */
const ada = (
  request: ClientRequest,
  outcome: Outcome,
  beganMs: number,
  endedMs: number,
  session = 'ada#1',
): Exchange => ({
  account: 'ada',
  session,
  node: 'node 1',
  request,
  outcome,
  beganMs,
  endedMs,
})

const login = (atMs: number, session = 'ada#1', cursor = 0): Exchange =>
  ada(
    { kind: 'login', takeover: true },
    { status: 200, page: { messages: [], cursor, gap: false } },
    atMs,
    atMs + 5,
    session,
  )

const send = (body: string, id: string, beganMs: number, endedMs = beganMs + 5): Exchange =>
  ada({ kind: 'send', to: 'ada', body, key: body }, { status: 201, id }, beganMs, endedMs)

const pageOf = (...seqs: number[]) => seqs.map((seq) => ({ seq, id: `id${seq}` }))

/** A poll after a number, with the numbers that it returned. */
const poll = (
  after: number | undefined,
  seqs: number[],
  beganMs: number,
  endedMs: number,
  { session = 'ada#1', waitMs = 25 * SECOND, cursor = seqs.at(-1) ?? after ?? 0 } = {},
): Exchange =>
  ada(
    { kind: 'poll', after, waitMs },
    { status: 200, page: { messages: pageOf(...seqs), cursor, gap: false } },
    beganMs,
    endedMs,
    session,
  )

const refused = (beganMs: number, session = 'ada#1') =>
  ada({ kind: 'poll', after: 0, waitMs: 0 }, { status: 401 }, beganMs, beganMs + 5, session)

const logout = (beganMs: number) => ada({ kind: 'logout' }, { status: 204 }, beganMs, beganMs + 5)

/** The store after ada has sent these bodies to herself, with their keys. */
const inbox = (...bodies: string[]): StoredInbox => ({
  account: 'ada',
  newestSeq: bodies.length,
  acknowledgedSeq: 0,
  messages: bodies.map((body, index) => ({ seq: index + 1, id: `id${index + 1}`, from: 'ada', body })),
  keys: bodies.map((body, index) => ({ key: body, messageId: `id${index + 1}` })),
})

const injected = (fromMs: number, toMs: number, cutsOff: boolean): InjectedFault => ({
  what: 'something broke',
  node: 'node 1',
  cutsOff,
  fromMs,
  toMs,
})

/** A history of two messages that were sent and received correctly, with further events. */
function history(changes: Partial<History> = {}, more: Exchange[] = []): History {
  const exchanges = [
    login(0),
    send('a', 'id1', 100),
    send('b', 'id2', 200),
    poll(0, [1, 2], 50, 210),
    ...more,
  ]
  return { exchanges, injectedFaults: [], stored: [inbox('a', 'b')], failures: [], ...changes }
}

const broken = (given: History) => judge(given).violations.map(({ promise, what }) => `${promise}: ${what}`)

function assertBroken(given: History, ...expected: RegExp[]) {
  const found = broken(given)
  assert.equal(found.length, expected.length, found.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? '', pattern)
}

describe('the checker of the fault suite', () => {
  it('finds nothing when every promise was kept', () => {
    assertBroken(history())
  })

  it('reports a violation with the history around it', () => {
    const injectedFaults = [injected(90, 120, true)]
    const [story = ''] = judge(history({ stored: [inbox('a')], injectedFaults })).stories

    assert.match(story, /"b" to ada was accepted as id2 and is not stored/)
    assert.match(story, /\*\*\* something broke: node 1, until 0\.120/)
    assert.match(story, /ada#1 send .*"b".* at node 1 since 0\.200: 201 id2/)
  })

  describe('of receipts', () => {
    const asking = (body: string, id: string, beganMs: number): Exchange => ({
      ...send(body, id, beganMs),
      request: { kind: 'send', to: 'ada', body, key: body, receipt: true },
    })
    /** Ada has read the first of her two messages; both ask for a receipt. Further entries follow. */
    const withReceipts = (...receipts: string[][]): History => {
      const { messages, keys } = inbox('a', 'b')
      const entries = receipts.map((receiptFor, at) => {
        return { seq: at + 3, id: `id${at + 3}`, from: 'ada', body: '', receiptFor }
      })
      const newestSeq = 2 + entries.length
      const all = [...messages, ...entries]
      const stored = [{ account: 'ada', newestSeq, acknowledgedSeq: 1, messages: all, keys }]
      const read = poll(0, range(1, newestSeq), 50, 210)
      const exchanges = [login(0), asking('a', 'id1', 100), asking('b', 'id2', 200), read]
      return history({ exchanges, stored })
    }

    it('finds nothing when each acknowledged message has one', () => {
      assertBroken(withReceipts(['id1']))
    })

    it('reports a missing receipt, and one that comes twice, too early, or without a message', () => {
      assertBroken(withReceipts(), /"a", which is ada 1 of 1 .* has 0 receipts/)
      assertBroken(withReceipts(['id1'], ['id1']), /"a", .* has 2 receipts/)
      assertBroken(withReceipts(['id1', 'id2']), /"b", which is ada 2 of 1 .* has 1 receipts/)
      assertBroken(withReceipts(['id1', 'id9']), /a receipt for id9, and there is no such message/)
    })
  })

  describe('of stored messages', () => {
    it('reports an accepted message that is missing', () => {
      const exchanges = [login(0), send('a', 'id1', 100), send('b', 'id2', 200), poll(0, [1], 50, 110)]
      const given = history({ exchanges, stored: [inbox('a')] })
      assertBroken(given, /^what was accepted .*"b" .* is not stored/, /idempotency key .* was not kept/)
    })

    it('reports a message that is stored twice', () => {
      const twice = [send('a', 'id1', 100), send('b', 'id2', 200), send('a', 'id3', 300)]
      const exchanges = [login(0), ...twice, poll(0, [1, 2, 3], 50, 310)]
      const stored = { ...inbox('a', 'b', 'a'), keys: inbox('a', 'b').keys }
      assertBroken(
        history({ exchanges, stored: [stored] }),
        /"a" is stored twice/,
        /"a" .* as id1 and is stored as id3/,
        /key "a" gave id1 and id3/,
        /key "a" gave id1 and id3/,
        /order of their commits: 3 was accepted before/,
      )
    })

    it('reports a message that nobody sent', () => {
      const exchanges = [login(0), send('a', 'id1', 100), poll(0, [1, 2], 50, 210)]
      assertBroken(history({ exchanges }), /"b" is stored .* nobody request for that/)
    })

    it('reports a gap in the numbers, and a wrong counter', () => {
      const [first, second] = inbox('a', 'b').messages
      assert.ok(first && second)
      const gap = { ...inbox('a', 'b'), messages: [first, { ...second, seq: 3 }], newestSeq: 3 }
      assert.ok(broken(history({ stored: [gap] })).some((outcome) => /3 stands where 2 should/.test(outcome)))
      const counter = { ...inbox('a', 'b'), newestSeq: 1 }
      assertBroken(history({ stored: [counter] }), /2 messages are there, and newest_seq is 1/)
    })

    it('reports a message before another that was accepted earlier', () => {
      const exchanges = [login(0), send('b', 'id2', 100), send('a', 'id1', 200), poll(0, [1, 2], 50, 210)]
      assertBroken(history({ exchanges }), /order of their commits: 2 was accepted before/)
    })
  })

  describe('of received messages', () => {
    it('reports a page that does not begin after the cursor', () => {
      const exchanges = [login(0), send('a', 'id1', 100), send('b', 'id2', 200), poll(0, [2], 50, 210)]
      assertBroken(
        history({ exchanges }),
        /request for what follows 0, and was given 2 on/,
        /1 of 2 was never received/,
      )
    })

    it('reports a page that skips a message', () => {
      const bodies = ['a', 'b', 'c']
      const sends = bodies.map((body, index) => send(body, `id${index + 1}`, 100 + index))
      const exchanges = [login(0), ...sends, poll(0, [1, 3], 50, 210), poll(1, [2, 3], 220, 230)]
      assertBroken(history({ exchanges, stored: [inbox(...bodies)] }), /a page skips: 1 3/)
    })

    it('reports a read after a message that was never received', () => {
      const unasked = poll(undefined, [2], 50, 210)
      const exchanges = [
        login(0),
        send('a', 'id1', 100),
        send('b', 'id2', 200),
        unasked,
        poll(0, [1], 220, 230),
      ]
      assertBroken(history({ exchanges }), /given 2 on, and had received no more than 1 to 0/)
    })

    it('reports a login after a message that was never received', () => {
      const exchanges = [login(0), send('a', 'id1', 100), send('b', 'id2', 200), login(300, 'ada#2', 1)]
      assertBroken(
        history({ exchanges }),
        /given 2 on, and had received no more than 1 to 0/,
        /1 of 2 was never received/,
      )
    })

    it('reports an inbox that was not received to its end', () => {
      const exchanges = [login(0), send('a', 'id1', 100), send('b', 'id2', 200), poll(0, [1], 50, 110)]
      assertBroken(history({ exchanges }), /2 of 2 was never received/)
    })

    it('reports a number that two messages share', () => {
      const stored = { ...inbox('a', 'b') }
      const given = history({ stored: [stored] })
      const wrong = poll(0, [1], 300, 310)
      if (wrong.outcome.page) wrong.outcome.page.messages = [{ seq: 1, id: 'id7' }]
      assertBroken({ ...given, exchanges: [...given.exchanges, wrong] }, /it was given id7 as 1/)
    })

    it('reports a gap although nothing was purged', () => {
      const outcome = poll(2, [], 300, 310)
      if (outcome.outcome.page) outcome.outcome.page.gap = true
      assertBroken(history({}, [outcome]), /there was a gap/)
    })
  })

  describe('of waits', () => {
    const late = (endedMs: number) => [
      login(0),
      send('a', 'id1', 100),
      send('b', 'id2', 200),
      poll(0, [1, 2], 50, endedMs),
    ]

    it('reports a poll that waited too long for a stored message', () => {
      assertBroken(history({ exchanges: late(21 * SECOND) }), /a poll waited 20895 ms for 1/)
    })

    it('does not count the time in which its node was disconnected, but counts that in which hints were lost', () => {
      const exchanges = late(21 * SECOND)
      assertBroken(history({ exchanges, injectedFaults: [injected(500, 2 * SECOND, true)] }))
      const deaf = [injected(500, 2 * SECOND, false)]
      assertBroken(history({ exchanges, injectedFaults: deaf }), /a poll waited 20895 ms for 1/)
    })

    it('reports a read without a wait that missed a message', () => {
      const overlooked = poll(1, [], 300, 310, { waitMs: 0 })
      assertBroken(history({}, [overlooked]), /does not wait .*: 2 was there for 95 ms/)
    })
  })

  describe('of sessions', () => {
    it('reports a token that is valid after the logout', () => {
      const alive = poll(2, [], 12 * SECOND, 13 * SECOND)
      const busy = [injected(300, 400, false)]
      assertBroken(
        history({ injectedFaults: busy }, [logout(300), alive]),
        /10000 ms after .*: ada#1 had ended 11695 ms before a poll that got 200/,
      )
    })

    it('reports a token that is valid after a takeover, at once if nothing has failed', () => {
      const opened = login(20 * SECOND, 'ada#2', 2)
      const alive = poll(2, [], 22 * SECOND, 22 * SECOND + 5)
      assertBroken(history({}, [opened, alive]), /without a fault: ada#1 had ended 1995 ms before/)
      assertBroken(history({ injectedFaults: [injected(10 * SECOND, 11 * SECOND, true)] }, [opened, alive]))
    })

    it('reports a poll that outlived its session', () => {
      const parked = poll(2, [], 250, 25 * SECOND)
      assertBroken(history({}, [logout(300), parked]), /is over within .*: ada#1 had a poll 24695 ms/)
    })

    it('reports a session that ended for no reason', () => {
      assertBroken(history({}, [refused(300)]), /ada#1 was refused, and nothing had ended it/)
      assertBroken(history({}, [logout(300), refused(400)]))
      assertBroken(history({}, [login(300, 'ada#2', 2), refused(400)]))
    })
  })

  describe('of answers', () => {
    it('reports responses outside the contract', () => {
      const request = { kind: 'poll', after: 3, waitMs: 0 } as const
      const ahead = ada(request, { status: 409, code: 'cursor_ahead' }, 300, 305)
      assertBroken(history({}, [ahead]), /poll was answered 409 cursor_ahead/)
    })

    it('reports processes that ended by themselves', () => {
      const failures = [{ atMs: 5, what: 'node 1 ended by itself with 1' }]
      assertBroken(history({ failures }), /node 1 ended by itself with 1/)
    })
  })
})
