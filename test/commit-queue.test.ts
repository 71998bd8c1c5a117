import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Batch,
  type CommitOutcome,
  type CommitResult,
  DatabaseUnavailable,
  type NewMessage,
} from '../src/database/database.ts'
import { CommitQueue } from '../src/inbox/commit-queue.ts'
import type { Committed } from '../src/inbox/commit-under-way.ts'
import { eventually } from './support/eventually.ts'
import { range } from './support/range.ts'

/** Half a second, plus the delay of a busy machine. */
const DEFERRED_MS_MAX = 5_000

describe('the commit queue', () => {
  it('commits the sends of one turn together, and those that arrive meanwhile as the next batch', async () => {
    const { queue, store } = openQueue()
    const first = [queue.append(message('a')), queue.append(message('b'))]
    await store.commits(1)
    const second = [queue.append(message('c')), queue.append(message('d')), queue.append(message('e'))]
    await turns()
    assert.equal(store.batches.length, 1, 'a few wait for the commit that is under way')

    store.succeed()
    await Promise.all(first)
    await store.commits(2)
    store.succeed()
    await Promise.all(second)

    assert.deepEqual(store.bodies(), [
      ['a', 'b'],
      ['c', 'd', 'e'],
    ])
  })

  it('does not wait for a batch to fill', async () => {
    const { queue, store } = openQueue()
    const alone = queue.append(message('a'))

    await store.commits(1)
    store.succeed()

    assert.deepEqual(await alone, { kind: 'appended', seq: 1, live: false })
  })

  it('answers no sender before the commit, and each with the outcome of its own message', async () => {
    const { queue, store } = openQueue()
    const answers: string[] = []
    const appends = ['a', 'b', 'c'].map((body) =>
      queue.append(message(body)).then((outcome) => {
        answers.push(body)
        return outcome
      }),
    )
    await store.commits(1)
    await turns()
    assert.deepEqual(answers, [])

    const outcomes: CommitOutcome[] = [
      { kind: 'appended', seq: 7, live: false },
      { kind: 'inbox_full' },
      { kind: 'appended', seq: 1, live: false },
    ]
    store.succeed(outcomes)

    assert.deepEqual(await Promise.all(appends), outcomes)
    assert.deepEqual(answers, ['a', 'b', 'c'], 'in the order of arrival')
  })

  it('reports what was committed after the commit and before the senders are answered, in order', async () => {
    const events: string[] = []
    const { queue, store } = openQueue((committed) => {
      for (const { message, outcome } of committed) events.push(`told ${message.body} ${outcome.kind}`)
    })
    const appends = ['a', 'b'].map((body) =>
      queue.append(message(body)).then(() => events.push(`answered ${body}`)),
    )
    await store.commits(1)
    await turns()
    assert.deepEqual(events, [], 'nothing is reported that may still fail')

    store.succeed()
    await Promise.all(appends)

    assert.deepEqual(events, ['told a appended', 'told b appended', 'answered a', 'answered b'])
  })

  it('starts a second commit at once when 32 messages wait, but no third', async () => {
    const { queue, store } = openQueue()
    const appends = range(1, 100).map((number) => queue.append(message(String(number))))
    assert.deepEqual(sizes(store), [32, 32], 'before the turn is over')
    await turns()
    assert.deepEqual(sizes(store), [32, 32])

    store.succeed()
    await store.commits(3)
    store.succeedAlways()
    await Promise.all(appends)

    assert.deepEqual(sizes(store), [32, 32, 36])
    assert.deepEqual(store.bodies().flat(), range(1, 100).map(String))
  })

  it('puts at most 512 messages into a batch', async () => {
    const { queue, store } = openQueue()
    const appends = range(1, 1_164).map((number) => queue.append(message(String(number))))
    store.succeedAlways()
    await Promise.all(appends)

    assert.deepEqual(sizes(store), [32, 32, 512, 512, 76])
    assert.deepEqual(store.bodies().flat(), range(1, 1_164).map(String))
  })

  it('refuses an append when 10 000 already wait, and accepts others when there is room again', async () => {
    const { queue, store } = openQueue()
    const first = queue.append(message('first'))
    await store.commits(1)
    // Another 32 are under way behind the first.
    const waiting = range(1, 10_032).map(() => queue.append(message('waiting')))

    await assert.rejects(queue.append(message('one too many')), DatabaseUnavailable)

    store.succeedAlways()
    await first
    await Promise.all(waiting)
    assert.equal((await queue.append(message('late'))).kind, 'appended')
    assert.ok(!store.bodies().flat().includes('one too many'))
  })

  it('fails all callers of a failed commit, no others, and continues with the next', async () => {
    const told: Committed[][] = []
    const { queue, store } = openQueue((committed) => told.push(committed))
    const failing = [queue.append(message('a')), queue.append(message('b')), queue.flushed()]
    await store.commits(1)
    const later = queue.append(message('c'))

    store.fail(new DatabaseUnavailable('The disk is full.'))
    for (const promise of failing) await assert.rejects(promise, DatabaseUnavailable)
    assert.deepEqual(told, [], 'nothing is reported that was not written')

    await store.commits(2)
    store.succeed()
    assert.deepEqual(await later, { kind: 'appended', seq: 1, live: false })
    assert.deepEqual(store.bodies(), [['a', 'b'], ['c']])
  })
})

describe('a deferred write', () => {
  it('does not go with the next commit, and is written half a second later', async () => {
    const { queue, store } = openQueue()
    const saidAtMs = Date.now()
    queue.acknowledge(acknowledgement('phone', 3))
    queue.noteLastSeen(seen('ada', 100))
    const append = queue.append(message('a'))
    await store.commits(1)
    store.succeed()
    await append
    assert.deepEqual(store.batches, [{ acknowledgements: [], lastSeen: [], appends: [message('a')] }])

    await store.commits(2)

    assert.ok(Date.now() - saidAtMs < DEFERRED_MS_MAX)
    assert.deepEqual(store.batches[1], {
      acknowledgements: [acknowledgement('phone', 3)],
      lastSeen: [seen('ada', 100)],
      appends: [],
    })
    store.succeed()
  })

  it('is written within half a second while batches follow each other without a pause', async () => {
    const { queue, store } = openQueue()
    store.succeedAlways()
    const saidAtMs = Date.now()
    queue.acknowledge(acknowledgement('phone', 3))

    while (store.acknowledged().length === 0 && Date.now() - saidAtMs < DEFERRED_MS_MAX)
      await queue.append(message('a'))

    assert.deepEqual(store.acknowledged(), [acknowledgement('phone', 3)])
  })

  it('goes with the next batch when many are deferred', async () => {
    const { queue, store } = openQueue()
    store.succeedAlways()
    const sessions = range(1, 1_000).map((number) => `phone ${number}`)
    for (const session of sessions.slice(1)) queue.acknowledge(acknowledgement(session, 3))
    await queue.append(message('a'))
    assert.deepEqual(store.acknowledged(), [])

    queue.acknowledge(acknowledgement('phone 1', 3))
    await queue.append(message('b'))

    assert.equal(store.acknowledged().length, 1_000)
    assert.deepEqual(store.bodies(), [['a'], ['b']])
  })

  it('is written at once if it may make room: messages to a full inbox are tried again with it', async () => {
    const told: Committed[][] = []
    const { queue, store } = openQueue((committed) => told.push(committed))
    queue.acknowledge(acknowledgement('phone', 3))
    const appends = ['a', 'b', 'c'].map((body) => queue.append(message(body)))
    await store.commits(1)
    const behind = queue.append(message('d'))

    store.succeed([{ kind: 'inbox_full' }, { kind: 'appended', seq: 1, live: false }, { kind: 'inbox_full' }])
    assert.deepEqual(await appends[1], { kind: 'appended', seq: 1, live: false })
    await store.commits(2)
    assert.deepEqual(store.batches[1], {
      acknowledgements: [acknowledgement('phone', 3)],
      lastSeen: [],
      appends: [message('a'), message('c'), message('d')],
    })
    // There was still no room, so this is the answer.
    store.succeed([
      { kind: 'inbox_full' },
      { kind: 'appended', seq: 2, live: false },
      { kind: 'appended', seq: 3, live: false },
    ])

    assert.deepEqual(await appends[0], { kind: 'inbox_full' })
    assert.deepEqual(await appends[2], { kind: 'appended', seq: 2, live: false })
    assert.deepEqual(await behind, { kind: 'appended', seq: 3, live: false })
    assert.equal(store.batches.length, 2)
    assert.deepEqual(
      told.map((committed) => committed.map(({ message, outcome }) => [message.body, outcome.kind])),
      [
        [['b', 'appended']],
        [
          ['a', 'inbox_full'],
          ['c', 'appended'],
          ['d', 'appended'],
        ],
      ],
    )

    queue.acknowledge(acknowledgement('phone', 4))
    void queue.append(message('e'))
    await store.commits(3)
    assert.deepEqual(store.batches[2]?.acknowledgements, [], 'held back again, because there is room')
    store.succeed()
  })

  it('is written at once if it may make room for a sender, too', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    const append = queue.append(message('a'))
    await store.commits(1)

    store.succeed([{ kind: 'too_many_unread' }])
    await store.commits(2)

    assert.deepEqual(store.batches[1]?.acknowledgements, [acknowledgement('phone', 3)])
    store.succeed([{ kind: 'appended', seq: 1, live: false }])
    assert.deepEqual(await append, { kind: 'appended', seq: 1, live: false })
  })

  it('queues undecided appends before newer ones', async () => {
    const { queue, store } = openQueue()
    const appends = ['a', 'b', 'c'].map((body) => queue.append(message(body)))
    await store.commits(1)
    void queue.append(message('d'))

    store.succeed([{ kind: 'appended', seq: 1, live: false }, { kind: 'inbox_full' }, { kind: 'undecided' }])
    await store.commits(2)

    assert.deepEqual(await appends[1], { kind: 'inbox_full' })
    assert.deepEqual(store.bodies()[1], ['c', 'd'])
    store.succeed()
    assert.equal((await appends[2])?.kind, 'appended')
  })

  it('does not retry a message to a full inbox when nothing was acknowledged', async () => {
    const { queue, store } = openQueue()
    const append = queue.append(message('a'))
    await store.commits(1)

    store.succeed([{ kind: 'inbox_full' }])

    assert.deepEqual(await append, { kind: 'inbox_full' })
    await turns()
    assert.equal(store.batches.length, 1)
  })

  it('is the furthest acknowledgement of each session, and never moves back', async () => {
    const { queue, store } = openQueue()
    for (const [session, seq] of [
      ['phone', 3],
      ['laptop', 1],
      ['phone', 5],
      ['phone', 4],
    ] as const)
      queue.acknowledge(acknowledgement(session, seq))

    await settle(queue, store)

    assert.deepEqual(store.batches[0]?.acknowledgements, [
      acknowledgement('phone', 5),
      acknowledgement('laptop', 1),
    ])
  })

  it('is the latest date of each account, in whatever order they arrive', async () => {
    const { queue, store } = openQueue()
    queue.noteLastSeen(seen('ada', 100))
    queue.noteLastSeen(seen('bob', 150))
    queue.noteLastSeen(seen('ada', 300))
    queue.noteLastSeen(seen('ada', 200))

    await settle(queue, store)

    assert.deepEqual(
      new Map(store.batches[0]?.lastSeen.map(({ username, atMs }) => [username, atMs])),
      new Map([
        ['ada', 300],
        ['bob', 150],
      ]),
    )
  })

  it('resolves when everything is in the store, including what was deferred during a commit', async () => {
    const { queue, store } = openQueue()
    const append = queue.append(message('a'))
    await store.commits(1)
    queue.acknowledge(acknowledgement('phone', 3))
    let isSettled = false
    const settling = queue.flushed().then(() => {
      isSettled = true
    })

    store.succeed()
    await append
    await store.commits(2)
    await turns()
    assert.equal(isSettled, false, 'the first commit did not have it')
    store.succeed()
    await settling

    assert.deepEqual(store.batches[1]?.acknowledgements, [acknowledgement('phone', 3)])
  })

  it('is flushed only with the messages that found no place in the running batches', async () => {
    const { queue, store } = openQueue()
    const appends = range(1, 65).map((number) => queue.append(message(String(number))))
    let isSettled = false
    const settling = queue.flushed().then(() => {
      isSettled = true
    })
    store.succeed()
    store.succeed()
    await store.commits(3)
    await turns()
    assert.equal(isSettled, false)

    store.succeed()
    await Promise.all([...appends, settling])
  })

  for (const outcome of [{ kind: 'undecided' }, { kind: 'too_many_unread' }] as const) {
    it(`is flushed only with the messages that are tried again, after ${outcome.kind}`, async () => {
      const { queue, store } = openQueue()
      // It is written with the second commit, and may make room for the messages of the first.
      queue.acknowledge(acknowledgement('phone', 3))
      const appends = range(1, 32).map((number) => queue.append(message(String(number))))
      appends.push(...range(33, 63).map((number) => queue.append(message(String(number)))))
      let isSettled = false
      const settling = queue.flushed().then(() => {
        isSettled = true
      })
      appends.push(queue.append(message('64')))
      assert.deepEqual(sizes(store), [32, 32], 'and the second commit carries the flush')

      store.succeed([
        outcome,
        ...range(2, 32).map((seq) => ({ kind: 'appended', seq, live: false }) as const),
      ])
      store.succeed()
      await store.commits(3)
      await turns()
      assert.deepEqual([store.bodies()[2], isSettled], [['1'], false])

      store.succeed()
      await Promise.all([...appends, settling])
    })
  }

  it('is not flushed when an earlier commit fails', async () => {
    const { queue, store } = openQueue()
    const failing = [queue.append(message('a'))]
    await store.commits(1)
    const settling = queue.flushed()

    store.fail(new DatabaseUnavailable('The disk is full.'))

    for (const promise of [...failing, settling]) await assert.rejects(promise, DatabaseUnavailable)
  })

  it('is not flushed when the commit that carried it fails, even if the next one succeeds', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    const settling = [queue.flushed()]
    const failing = range(1, 32).map((number) => queue.append(message(String(number))))
    const later = range(33, 63).map((number) => queue.append(message(String(number))))
    settling.push(queue.flushed())
    later.push(queue.append(message('64')))
    assert.deepEqual(sizes(store), [32, 32])
    assert.deepEqual(store.batches[0]?.acknowledgements, [acknowledgement('phone', 3)])

    store.fail(new DatabaseUnavailable('The disk is full.'))
    store.succeed()
    for (const promise of [...settling, ...failing]) await assert.rejects(promise, DatabaseUnavailable)
    await Promise.all(later)

    await settle(queue, store)
    assert.deepEqual(store.batches[2]?.acknowledgements, [acknowledgement('phone', 3)])
  })

  it('is flushed with the running commit, without another, if that carried everything', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    const first = queue.flushed()
    await store.commits(1)
    const second = queue.flushed()

    store.succeed()

    await Promise.all([first, second])
    assert.equal(store.batches.length, 1)
  })

  it('resolves at once, without a commit, when nothing is deferred', async () => {
    const { queue, store } = openQueue()

    await queue.flushed()

    assert.equal(store.batches.length, 0)
  })

  it('is the date by the current clock, if that was ahead before', async () => {
    const { queue, store } = openQueue()
    queue.noteLastSeen(seen('ada', 3_600_100, 3_600_100))
    queue.noteLastSeen(seen('ada', 100))

    await settle(queue, store)

    assert.deepEqual(store.batches[0]?.lastSeen, [seen('ada', 100)])
  })

  it('is retried when the commit fails, until it is written', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    queue.noteLastSeen(seen('ada', 100))
    // Without a send.
    await store.commits(1)
    store.fail(new DatabaseUnavailable('The disk is full.'))
    await store.commits(2)
    store.fail(new DatabaseUnavailable('The disk is still full.'))
    await store.commits(3)
    store.succeed()

    assert.deepEqual(store.batches[2], {
      acknowledgements: [acknowledgement('phone', 3)],
      lastSeen: [seen('ada', 100)],
      appends: [],
    })
  })

  it('does not overwrite a newer value with an older one when it is retried', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    queue.acknowledge(acknowledgement('laptop', 1))
    queue.noteLastSeen(seen('ada', 100))
    const failing = queue.flushed()
    await store.commits(1)
    queue.acknowledge(acknowledgement('phone', 5))
    queue.noteLastSeen(seen('ada', 200))
    store.fail(new DatabaseUnavailable('The disk is full.'))
    await assert.rejects(failing, DatabaseUnavailable)

    await settle(queue, store)

    assert.deepEqual(
      new Set(store.batches[1]?.acknowledgements),
      new Set([acknowledgement('phone', 5), acknowledgement('laptop', 1)]),
    )
    assert.deepEqual(store.batches[1]?.lastSeen, [seen('ada', 200)])
  })

  it('rejects when the write has failed', async () => {
    const { queue, store } = openQueue()
    queue.acknowledge(acknowledgement('phone', 3))
    const settling = queue.flushed()
    await store.commits(1)

    store.fail(new DatabaseUnavailable('The disk is full.'))

    await assert.rejects(settling, DatabaseUnavailable)
    await settle(queue, store)
    assert.deepEqual(store.batches[1]?.acknowledgements, [acknowledgement('phone', 3)])
  })
})

describe('with several nodes', () => {
  it('an acknowledgement goes with the next commit, at once', async () => {
    const { queue, store } = openQueue(undefined, { defersAcknowledgements: false })
    queue.acknowledge(acknowledgement('phone', 3))
    const append = queue.append(message('a'))
    const flushed = queue.flushed()
    await store.commits(1)
    store.succeed()

    await Promise.all([append, flushed])

    assert.deepEqual(store.batches, [
      { acknowledgements: [acknowledgement('phone', 3)], lastSeen: [], appends: [message('a')] },
    ])
  })

  it('a session waits for the commit that carries its own acknowledgement, and for no other', async () => {
    const { queue, store } = openQueue(undefined, { defersAcknowledgements: false })
    const settled: string[] = []
    const wait = (session: string) => queue.acknowledged(ofSession(session)).then(() => settled.push(session))
    queue.acknowledge(acknowledgement('phone', 3))
    await store.commits(1)
    // The session has acknowledged nothing new since, and its acknowledgement is not in the store yet.
    const phone = wait('phone')
    await wait('laptop')
    assert.deepEqual(settled, ['laptop'])

    queue.acknowledge(acknowledgement('tablet', 1))
    const tablet = wait('tablet')
    store.succeed()
    await phone
    assert.deepEqual(settled, ['laptop', 'phone'])
    await store.commits(2)
    store.succeed()
    await tablet
    await wait('phone')
  })

  it('a session waits for its acknowledgement once more when it could not be written', async () => {
    const { queue, store } = openQueue(undefined, { defersAcknowledgements: false })
    queue.acknowledge(acknowledgement('phone', 3))
    const failing = queue.acknowledged(ofSession('phone'))
    await store.commits(1)
    store.fail(new DatabaseUnavailable('The disk is full.'))
    await assert.rejects(failing, DatabaseUnavailable)

    const again = queue.acknowledged(ofSession('phone'))
    await store.commits(2)
    assert.deepEqual(store.batches[1]?.acknowledgements, [acknowledgement('phone', 3)])
    store.succeed()
    await again
  })

  it('results are handled in the order of submission, whichever commit ends first', async () => {
    const told: string[] = []
    const ends: ((outcomes: CommitOutcome[]) => void)[] = []
    const commit = ({ appends }: Batch) =>
      new Promise<CommitResult>((resolve) => {
        const outcomes = appends.map((_, seq) => ({ kind: 'appended' as const, seq, live: false }))
        ends.push(() => resolve({ outcomes, receipts: [] }))
      })
    const queue = new CommitQueue({ commit }, (committed) => told.push(committed[0]?.message.body ?? ''), {
      defersAcknowledgements: false,
    })
    const first = range(1, 32).map((number) => queue.append(message(`first ${number}`)))
    queue.acknowledge(acknowledgement('phone', 3))
    const second = range(1, 32).map((number) => queue.append(message(`second ${number}`)))
    const flushed = queue.flushed().then(() => told.push('flushed'))

    ends[1]?.([])
    await turns()
    assert.deepEqual(told, [])
    ends[0]?.([])
    await Promise.all([...first, ...second])

    await flushed
    assert.deepEqual(told, ['first 1', 'second 1', 'flushed'])
  })
})

describe('sends with the same key that wait for the same commit', () => {
  const keyed = (body: string, key = 'key'): NewMessage => ({
    ...message(body),
    idempotency: { key, fingerprint: Buffer.from(body), expiredBeforeMs: 0 },
  })

  it('make one commit and one message: the others get the answer of the first', async () => {
    const { queue, store } = openQueue()
    const sends = [keyed('a'), keyed('a'), keyed('b'), keyed('c', 'other')].map((each) => queue.append(each))
    await store.commits(1)
    store.succeed()

    const outcomes = await Promise.all(sends)

    assert.deepEqual(store.bodies(), [['a', 'c']])
    assert.deepEqual(outcomes, [
      { kind: 'appended', seq: 1, live: false },
      { kind: 'replayed', id: 'id of a', sentAtMs: 0, live: false },
      { kind: 'idempotency_key_reused' },
      { kind: 'appended', seq: 2, live: false },
    ])
  })

  it('all fail with the commit, of which nothing was stored', async () => {
    const { queue, store } = openQueue()
    const sends = [keyed('a'), keyed('a')].map((each) => queue.append(each))
    await store.commits(1)

    store.fail(new DatabaseUnavailable('The disk is full.'))

    for (const send of sends) await assert.rejects(send, DatabaseUnavailable)
    await turns()
    assert.equal(store.batches.length, 1)
  })

  it('go to the store themselves if nothing was stored for the first', async () => {
    const { queue, store } = openQueue()
    const sends = [keyed('a'), keyed('b'), keyed('b')].map((each) => queue.append(each))
    await store.commits(1)
    store.succeed([{ kind: 'recipient_not_found' }])
    await store.commits(2)
    store.succeed()

    assert.deepEqual(await Promise.all(sends), [
      { kind: 'recipient_not_found' },
      { kind: 'appended', seq: 1, live: false },
      { kind: 'replayed', id: 'id of b', sentAtMs: 0, live: false },
    ])
    assert.deepEqual(store.bodies(), [['a'], ['b']])
  })
})

/**
 * A store whose commits end when the test says so, in the order of their start, with the outcome of the test.
 */
class HeldStore {
  readonly batches: Batch[] = []
  readonly #underWay: {
    batch: Batch
    succeed: (outcomes: CommitOutcome[]) => void
    fail: (error: Error) => void
  }[] = []
  #always = false
  #seq = 0

  commit = async (batch: Batch): Promise<CommitResult> => ({
    outcomes: await this.#outcomesOf(batch),
    receipts: [],
  })

  #outcomesOf(batch: Batch): Promise<CommitOutcome[]> {
    assert.ok(this.#underWay.length < 2, 'two commits at a time')
    this.batches.push(batch)
    if (this.#always) return Promise.resolve(this.#appended(batch))
    return new Promise((succeed, fail) => {
      this.#underWay.push({ batch, succeed, fail })
    })
  }

  /** Resolves when this many commits have begun. */
  commits(count: number): Promise<void> {
    return eventually(`commit ${count} begins`, () => this.batches.length >= count)
  }

  succeed(outcomes?: CommitOutcome[]) {
    const { batch, succeed } = this.#oldest()
    succeed(outcomes ?? this.#appended(batch))
  }

  fail(error: Error) {
    this.#oldest().fail(error)
  }

  /** Ends the commits under way, and lets all later ones pass. */
  succeedAlways() {
    this.#always = true
    while (this.#underWay.length > 0) this.succeed()
  }

  acknowledged() {
    return this.batches.flatMap(({ acknowledgements }) => acknowledgements)
  }

  bodies(): string[][] {
    return this.batches.map(({ appends }) => appends.map(({ body }) => body))
  }

  #oldest() {
    const oldest = this.#underWay.shift()
    assert.ok(oldest, 'a commit is under way')
    return oldest
  }

  #appended({ appends }: Batch): CommitOutcome[] {
    return appends.map(() => {
      this.#seq += 1
      return { kind: 'appended', seq: this.#seq, live: false }
    })
  }
}

const sizes = (store: HeldStore) => store.batches.map(({ appends }) => appends.length)

function openQueue(
  onCommit: (committed: Committed[]) => void = () => {},
  options?: { defersAcknowledgements: boolean },
) {
  const store = new HeldStore()
  return { store, queue: new CommitQueue(store, onCommit, options) }
}

/** Writes everything deferred. */
async function settle(queue: CommitQueue, store: HeldStore) {
  const settling = queue.flushed()
  await store.commits(store.batches.length + 1)
  store.succeed()
  await settling
}

/** Waits some turns of the event loop, so that everything pending has run. */
async function turns() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

const acknowledgement = (sessionId: string, seq: number) => ({ sessionId, accountId: 1, seq, atMs: 0 })

const seen = (username: string, atMs: number, nowMs = 300) => ({ username, atMs, nowMs })

const message = (body: string): NewMessage => ({
  senderId: 2,
  from: 'bob',
  to: 'ada',
  id: `id of ${body}`,
  body,
  sentAtMs: 0,
  live: false,
  wantsReceipt: false,
  idempotency: undefined,
})

const ofSession =
  (id: string) =>
  ({ sessionId }: { sessionId: string }) =>
    sessionId === id
