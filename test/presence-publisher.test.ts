/**
 * Publishes to other nodes which sessions poll here: once when they begin, and once when they have stopped.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { PresencePublisher } from '../src/nodes/presence-publisher.ts'
import { eventually } from './support/eventually.ts'

const ada = { id: 'session of ada', username: 'ada', ended: false }
const bob = { id: 'session of bob', username: 'bob', ended: false }

/** The maximum delay of a publication. */
const LATE_MS = 2_500

describe('the presence publisher', { concurrency: true }, () => {
  it('publishes a session once, however often it polls', async (t) => {
    const { publisher, written } = announce(t)
    for (let poll = 0; poll < 100; poll += 1) publisher.enter({ ...ada })
    publisher.enter(bob)

    await eventually('both are published', () => written.length > 0)

    assert.deepEqual(written, [`+ ${ada.id}`, `+ ${bob.id}`])
  })

  it('publishes once that a session has stopped polling', async (t) => {
    const { publisher, written, present } = announce(t)
    publisher.enter(ada)
    await eventually('ada is published', () => written.length === 1)

    present.delete(ada.id)

    await eventually('that she has gone, too', () => written.length === 2, LATE_MS)
    assert.deepEqual(written, [`+ ${ada.id}`, `- ${ada.id}`])
  })

  it('publishes that a session is back', async (t) => {
    const { publisher, written, present } = announce(t)
    publisher.enter(ada)
    await eventually('ada is published', () => written.length === 1)
    present.delete(ada.id)
    await eventually('that she has gone, too', () => written.length === 2, LATE_MS)

    present.add(ada.id)
    publisher.enter(ada)

    await eventually('that she is back, too', () => written.length === 3)
    assert.deepEqual(written, [`+ ${ada.id}`, `- ${ada.id}`, `+ ${ada.id}`])
  })

  it('treats an ended session as one that has stopped polling', async (t) => {
    const { publisher, written } = announce(t)
    const poller = { ...ada }
    publisher.enter(poller)
    await eventually('ada is published', () => written.length === 1)

    poller.ended = true

    await eventually('that she has gone, too', () => written.includes(`- ${ada.id}`), LATE_MS)
  })

  it('retries after a failed write, and the latest change wins', async (t) => {
    const { publisher, written, present, failures } = announce(t)
    failures.next = 1
    publisher.enter(ada)
    publisher.enter(bob)
    await eventually('it has failed', () => failures.next === 0)
    present.delete(ada.id)

    await eventually('bob is published', () => written.includes(`+ ${bob.id}`), LATE_MS)

    assert.ok(!written.includes(`+ ${ada.id}`), written.join())
  })

  it('publishes everything again when this node may have counted as dead', async (t) => {
    const { publisher, written } = announce(t)
    publisher.enter(ada)
    await eventually('ada is published', () => written.length === 1)

    publisher.publishAll()

    await eventually('again', () => written.length === 2)
    assert.deepEqual(written, [`+ ${ada.id}`, `+ ${ada.id}`])
  })

  it('removes all sessions when the node stops, including unpublished ones', async (t) => {
    const { publisher, written, present, failures } = announce(t)
    publisher.enter(ada)
    publisher.enter(bob)
    await eventually('both are published', () => written.length === 2)
    failures.next = 1
    present.delete(ada.id)
    await eventually('it has failed', () => failures.next === 0, LATE_MS)

    await publisher.stop()

    assert.deepEqual(new Set(written.slice(2)), new Set([`- ${ada.id}`, `- ${bob.id}`]))
  })

  it('writes nothing after the last removal, even if a write was under way', async (t) => {
    const { publisher, written, held } = announce(t)
    const release = held.hold()
    publisher.enter(ada)
    await eventually('it is under way', () => held.waiting)
    publisher.enter(bob)

    const stopped = publisher.stop()
    release()
    await stopped

    const { length } = written
    assert.ok(written.indexOf(`- ${ada.id}`) > written.indexOf(`+ ${ada.id}`))
    // Another round would start a tenth of a second later.
    const { publisher: later, written: writtenLater } = announce(t)
    later.enter(ada)
    await eventually('another publisher has written meanwhile', () => writtenLater.length === 1)
    assert.equal(written.length, length, written.join())
  })
})

/** A publisher with a database that records its calls. */
function announce(t: TestContext) {
  const written: string[] = []
  const present = new Set([ada.id, bob.id])
  const failures = { next: 0 }
  let gate: Promise<void> | undefined
  const held = {
    waiting: false,
    hold: () => {
      let release = () => {}
      gate = new Promise((resolve) => {
        release = resolve
      })
      return release
    },
  }
  const tell = async (sign: string, ids: string[]) => {
    if (gate && ids.length > 0) {
      held.waiting = true
      await gate
    }
    if (failures.next > 0) {
      failures.next -= 1
      throw new Error('The database is away.')
    }
    written.push(...ids.map((id) => `${sign} ${id}`))
  }
  const publisher = new PresencePublisher(
    { addPresence: (ids) => tell('+', ids), removePresence: (ids) => tell('-', ids) },
    { isPresent: ({ id }) => present.has(id) },
  )
  t.after(() => publisher.stop())
  return { publisher, written, present, failures, held }
}
