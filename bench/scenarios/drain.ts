import { join } from 'node:path'
import { type Connection, withConnection } from '../support/connection.ts'
import { inTurn, rowOf, type Scenario } from '../support/measure.ts'
import { type Person, people, person } from '../support/people.ts'
import { startFloor, startServer } from '../support/processes.ts'
import { BODY, pollText } from '../support/requests.ts'
import { addMessages, seed, verifyStore } from '../support/store.ts'

const READERS = people(0, 8)
const ONE = [person(0)]
const INBOX = 10_000
const PAGE = 500

/** Somebody comes back and reads what has come in the meantime, page by page. */
export const drain: Scenario = async (bench) => {
  const file = join(bench.folder, 'drain.db')
  const stored = { messages: READERS.length * INBOX, senders: READERS.length }
  await seed(file, READERS.length)
  addMessages(file, stored, (message) => message % READERS.length)
  const [server, floor] = [await startServer(file), await startFloor('bare-fastify')]
  for (const { url } of [server, floor]) {
    await checkMessages(url)
    await drainAll(url, READERS, bench.warmUpSeconds)
  }
  const { ours1, floor1, ours8, floor8 } = await inTurn(bench.rounds, {
    ours1: () => drainAll(server.url, ONE, bench.seconds),
    floor1: () => drainAll(floor.url, ONE, bench.seconds),
    ours8: () => drainAll(server.url, READERS, bench.seconds),
    floor8: () => drainAll(floor.url, READERS, bench.seconds),
  })
  await Promise.all([server.stop(), floor.stop()])
  await verifyStore(file, stored.messages)

  const floorIs = 'bare Fastify, pages in memory'
  const described = { floorIs, unit: 'messages/s', target: { ratio: 0.35 } } as const
  return [
    rowOf({ what: 'offline drain, 10 000 messages by pages of 500', ...described }, ours1, floor1),
    rowOf({ what: 'offline drain, 8 readers at once', ...described }, ours8, floor8),
  ]
}

/** Each drains the inbox from the beginning, again and again. @returns messages per second */
async function drainAll(url: string, readers: Person[], seconds: number): Promise<number> {
  const startedAt = performance.now()
  let messages = 0
  const drains = readers.map((reader) =>
    withConnection(url, async (connection) => {
      for (; performance.now() < startedAt + 1_000 * seconds; messages += INBOX)
        await drainOne(connection, reader)
    }),
  )
  await Promise.all(drains)
  return messages / ((performance.now() - startedAt) / 1_000)
}

/** @returns the pages; to parse them here would take longer than to make them */
async function drainOne(connection: Connection, reader: Person): Promise<Buffer[]> {
  const pages: Buffer[] = []
  for (let cursor = 0; cursor < INBOX; ) {
    const page = await connection.expect(200, pollText(reader, cursor, `limit=${PAGE}&wait=0`))
    cursor = Number(/"cursor":(\d+)/.exec(page.subarray(-60).toString('latin1'))?.[1])
    pages.push(page)
  }
  return pages
}

async function checkMessages(url: string) {
  const pages = await withConnection(url, (connection) => drainOne(connection, person(0)))
  const messages: { seq: number; body: string }[] = pages.flatMap((page) => JSON.parse(`${page}`).messages)
  if (
    messages.length !== INBOX ||
    messages.some(({ seq, body }, index) => seq !== index + 1 || body !== BODY)
  )
    throw new Error('The drained messages are not those that were stored.')
}
