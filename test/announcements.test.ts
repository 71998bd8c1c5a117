/** Who polls here is told to the other nodes: once when it begins, once when it is over. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Announcements } from '../src/nodes/announcements.ts'
import { eventually } from './support/eventually.ts'

const ada = { id: 'session of ada', username: 'ada', ended: false }
const bob = { id: 'session of bob', username: 'bob', ended: false }

/** What is told goes this far behind what happens. */
const TOLD_MS = 2_500

describe('announcements', { concurrency: true }, () => {
  it('tell a session once, however often it polls', async (t) => {
    const { announcements, told } = announce(t)
    for (let poll = 0; poll < 100; poll += 1) announcements.enter({ ...ada })
    announcements.enter(bob)

    await eventually('both are told', () => told.length > 0)

    assert.deepEqual(told, [`+ ${ada.id}`, `+ ${bob.id}`])
  })

  it('say nothing of who came and went meanwhile, and say once that somebody has gone', async (t) => {
    const { announcements, told, present } = announce(t)
    announcements.enter(ada)
    await eventually('ada is told', () => told.length === 1)

    present.delete(ada.id)

    await eventually('that she has gone, too', () => told.length === 2, TOLD_MS)
    assert.deepEqual(told, [`+ ${ada.id}`, `- ${ada.id}`])
  })

  it('say that somebody is back', async (t) => {
    const { announcements, told, present } = announce(t)
    announcements.enter(ada)
    await eventually('ada is told', () => told.length === 1)
    present.delete(ada.id)
    await eventually('that she has gone, too', () => told.length === 2, TOLD_MS)

    present.add(ada.id)
    announcements.enter(ada)

    await eventually('that she is back, too', () => told.length === 3)
    assert.deepEqual(told, [`+ ${ada.id}`, `- ${ada.id}`, `+ ${ada.id}`])
  })

  it('take a session that was ended for gone', async (t) => {
    const { announcements, told } = announce(t)
    const poller = { ...ada }
    announcements.enter(poller)
    await eventually('ada is told', () => told.length === 1)

    poller.ended = true

    await eventually('that she has gone, too', () => told.includes(`- ${ada.id}`), TOLD_MS)
  })

  it('are made again when the database could not take them, and what was said last holds', async (t) => {
    const { announcements, told, present, failures } = announce(t)
    failures.next = 1
    announcements.enter(ada)
    announcements.enter(bob)
    await eventually('it has failed', () => failures.next === 0)
    present.delete(ada.id)

    await eventually('bob is told', () => told.includes(`+ ${bob.id}`), TOLD_MS)

    assert.ok(!told.includes(`+ ${ada.id}`), told.join())
  })

  it('are repeated when it may have been forgotten that this node is alive', async (t) => {
    const { announcements, told } = announce(t)
    announcements.enter(ada)
    await eventually('ada is told', () => told.length === 1)

    announcements.repeat()

    await eventually('again', () => told.length === 2)
    assert.deepEqual(told, [`+ ${ada.id}`, `+ ${ada.id}`])
  })

  it('end with the node: all are said to be gone, whoever could not be said before among them', async (t) => {
    const { announcements, told, present, failures } = announce(t)
    announcements.enter(ada)
    announcements.enter(bob)
    await eventually('both are told', () => told.length === 2)
    failures.next = 1
    present.delete(ada.id)
    await eventually('it has failed', () => failures.next === 0, TOLD_MS)

    await announcements.stop()

    assert.deepEqual(new Set(told.slice(2)), new Set([`- ${ada.id}`, `- ${bob.id}`]))
  })

  it('end with the node also when one of them is under way: none comes after the last', async (t) => {
    const { announcements, told, held } = announce(t)
    const release = held.hold()
    announcements.enter(ada)
    await eventually('it is under way', () => held.waiting)
    announcements.enter(bob)

    const stopped = announcements.stop()
    release()
    await stopped

    const { length } = told
    assert.ok(told.indexOf(`- ${ada.id}`) > told.indexOf(`+ ${ada.id}`))
    // Another round would begin a tenth of a second later.
    const { announcements: later, told: toldLater } = announce(t)
    later.enter(ada)
    await eventually('somebody else has told meanwhile', () => toldLater.length === 1)
    assert.equal(told.length, length, told.join())
  })
})

/** Announcements to a database that writes down what it is told. */
function announce(t: TestContext) {
  const told: string[] = []
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
    told.push(...ids.map((id) => `${sign} ${id}`))
  }
  const announcements = new Announcements(
    { appear: (ids) => tell('+', ids), disappear: (ids) => tell('-', ids) },
    { isPresent: ({ id }) => present.has(id) },
  )
  t.after(() => announcements.stop())
  return { announcements, told, present, failures, held }
}
