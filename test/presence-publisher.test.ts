/**
 * Publishes to other nodes which sessions poll here: once when they begin, and once when they have stopped.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { PresencePublisher } from '../src/nodes/presence-publisher.ts'
import { Presence } from '../src/presence.ts'
import { eventually } from './support/eventually.ts'

const ADA = 'session of ada'
const BOB = 'session of bob'

/** The maximum delay of a publication. */
const LATE_MS = 2_500

describe('the presence publisher', { concurrency: true }, () => {
  it('publishes sessions that come online together in one statement', async (t) => {
    const { presence, written } = publish(t)
    presence.emit('online', ADA)
    presence.emit('online', BOB)

    await eventually('both are published', () => written.length > 0)

    assert.deepEqual(written, [`+ ${ADA}`, `+ ${BOB}`])
  })

  it('publishes once that a session has stopped polling', async (t) => {
    const { presence, written } = publish(t)
    presence.emit('online', ADA)
    await eventually('ada is published', () => written.length === 1)

    presence.emit('offline', ADA)

    await eventually('that she has gone, too', () => written.length === 2, LATE_MS)
    assert.deepEqual(written, [`+ ${ADA}`, `- ${ADA}`])
  })

  it('does not publish a session whose last poll is over by then', async (t) => {
    const { presence, written } = publish(t)
    const [short, long] = [
      { id: ADA, username: 'ada' },
      { id: BOB, username: 'bob' },
    ]
    presence.addPoll(short)
    presence.addPoll(long)
    presence.removePoll(short)

    await eventually('the other is published', () => written.includes(`+ ${BOB}`))

    assert.ok(!written.includes(`+ ${ADA}`), written.join())
  })

  it('publishes that a session is back', async (t) => {
    const { presence, written } = publish(t)
    presence.emit('online', ADA)
    await eventually('ada is published', () => written.length === 1)
    presence.emit('offline', ADA)
    await eventually('that she has gone, too', () => written.length === 2, LATE_MS)

    presence.emit('online', ADA)

    await eventually('that she is back, too', () => written.length === 3)
    assert.deepEqual(written, [`+ ${ADA}`, `- ${ADA}`, `+ ${ADA}`])
  })

  it('retries after a failed write, and the latest change wins', async (t) => {
    const { presence, written, failures } = publish(t)
    failures.next = 1
    presence.emit('online', ADA)
    presence.emit('online', BOB)
    await eventually('it has failed', () => failures.next === 0)
    presence.emit('offline', ADA)

    await eventually('bob is published', () => written.includes(`+ ${BOB}`), LATE_MS)

    assert.ok(!written.includes(`+ ${ADA}`), written.join())
  })

  it('publishes everything again when this node may have counted as dead', async (t) => {
    const { publisher, presence, written } = publish(t)
    presence.emit('online', ADA)
    await eventually('ada is published', () => written.length === 1)

    publisher.publishAll()

    await eventually('again', () => written.length === 2)
    assert.deepEqual(written, [`+ ${ADA}`, `+ ${ADA}`])
  })

  it('removes all sessions when the node stops, including unpublished ones', async (t) => {
    const { publisher, presence, written, failures } = publish(t)
    presence.emit('online', ADA)
    presence.emit('online', BOB)
    await eventually('both are published', () => written.length === 2)
    failures.next = 1
    presence.emit('offline', ADA)
    await eventually('it has failed', () => failures.next === 0, LATE_MS)

    await publisher.stop()

    assert.deepEqual(new Set(written.slice(2)), new Set([`- ${ADA}`, `- ${BOB}`]))
  })

  it('writes nothing after the last removal, even if a write was under way', async (t) => {
    const { publisher, presence, written, held } = publish(t)
    const release = held.hold()
    presence.emit('online', ADA)
    await eventually('it is under way', () => held.waiting)
    presence.emit('online', BOB)

    const stopped = publisher.stop()
    release()
    await stopped

    const { length } = written
    assert.ok(written.indexOf(`- ${ADA}`) > written.indexOf(`+ ${ADA}`))
    // Another round would start a tenth of a second later.
    const { presence: presenceLater, written: writtenLater } = publish(t)
    presenceLater.emit('online', ADA)
    await eventually('another publisher has written meanwhile', () => writtenLater.length === 1)
    assert.equal(written.length, length, written.join())
  })
})

/** A publisher with a database that records its calls. */
function publish(t: TestContext) {
  const written: string[] = []
  const presence = new Presence(0, Date.now)
  t.after(() => presence.close())
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
    presence,
  )
  t.after(() => publisher.stop())
  return { publisher, presence, written, failures, held }
}
