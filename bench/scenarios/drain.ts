import assert from 'node:assert/strict'
import { join } from 'node:path'
import { withConnection } from '../support/connection.ts'
import { drive } from '../support/load.ts'
import { inTurn, rowOf, type Scenario } from '../support/measure.ts'
import { type Person, people } from '../support/people.ts'
import { startFloor, startServer } from '../support/processes.ts'
import { BODY, getText } from '../support/requests.ts'
import { addMessages, seed, verifyStore } from '../support/store.ts'

const READERS = people(0, 8)
const INBOX = 10_000
const PAGE = 500
const PATHS = Array.from(
  { length: INBOX / PAGE },
  (_, page) => `/v1/inbox?after=${page * PAGE}&limit=${PAGE}&wait=0`,
)

/** Reads an inbox of offline messages page by page, again and again. */
export const drain: Scenario = async (bench) => {
  const file = join(bench.folder, 'drain.db')
  const messages = READERS.length * INBOX
  await seed(file, READERS.length)
  addMessages(file, { messages, senders: READERS.length }, (message) => message % READERS.length)
  const [server, floor] = [await startServer(file), await startFloor('bare-fastify')]

  /** @returns messages per second */
  const drainBy = async (readers: number, url: string, seconds = bench.seconds) => {
    const requestsOf = (reader: number) => {
      const headers = { authorization: `Bearer ${READERS[reader]?.token}` }
      return PATHS.map((path) => ({ path, headers }))
    }
    return PAGE * (await drive(url, readers, seconds, requestsOf)).perSecond
  }
  for (const { url } of [server, floor]) {
    await checkPages(url)
    await drainBy(READERS.length, url, bench.warmUpSeconds)
  }
  const { ours1, floor1, ours8, floor8 } = await inTurn(bench.rounds, {
    ours1: () => drainBy(1, server.url),
    floor1: () => drainBy(1, floor.url),
    ours8: () => drainBy(8, server.url),
    floor8: () => drainBy(8, floor.url),
  })
  await Promise.all([server.stop(), floor.stop()])
  await verifyStore(file, messages)

  const floorIs = 'bare Fastify, pages in memory'
  const described = { floorIs, unit: 'messages/s', target: { ratio: 0.35 } } as const
  return [
    rowOf({ what: 'offline drain, 10 000 messages by pages of 500', ...described }, ours1, floor1),
    rowOf({ what: 'offline drain, 8 readers at once', ...described }, ours8, floor8),
  ]
}

/** Checks every message of one inbox. */
const checkPages = (url: string) =>
  withConnection(url, async (connection) => {
    let seq = 0
    for (const path of PATHS) {
      const page = await connection.expect(200, getText(path, READERS[0] as Person))
      for (const message of JSON.parse(`${page}`).messages) {
        seq += 1
        assert.deepEqual([message.seq, message.body], [seq, BODY])
      }
    }
    assert.equal(seq, INBOX)
  })
