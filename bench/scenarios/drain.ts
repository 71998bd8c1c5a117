import { join } from 'node:path'
import type { Scenario } from '../support/bench.ts'
import { Connection, expectStatus } from '../support/connection.ts'
import { type Person, people } from '../support/people.ts'
import { BODY, pollText } from '../support/requests.ts'
import { inTurn, rowOf } from '../support/rows.ts'
import { median } from '../support/stats.ts'
import { seed, verifyStore } from '../support/store.ts'

const READERS = 8
const INBOX = 10_000
const PAGE = 500

/** Somebody comes back and reads what has come in the meantime, page by page. */
export const drain: Scenario = async (bench) => {
  const file = join(bench.folder, 'drain.db')
  await seed(bench.processes, file, { accounts: READERS, messages: READERS * INBOX, inboxes: READERS })
  const server = await bench.processes.server(file)
  const floor = await bench.processes.floor('bare-fastify')

  const readers = people(0, READERS)
  for (const { url } of [server, floor]) {
    await checkedDrain(url, readers[0] as Person)
    await drainAll(url, readers, bench.warmUpSeconds)
  }
  const one = readers.slice(0, 1)
  const measured = await inTurn(bench.rounds, {
    ours1: () => drainAll(server.url, one, bench.seconds),
    floor1: () => drainAll(floor.url, one, bench.seconds),
    ours8: () => drainAll(server.url, readers, bench.seconds),
    floor8: () => drainAll(floor.url, readers, bench.seconds),
  })
  await Promise.all([server.stop(), floor.stop()])
  verifyStore(file, { accepted: READERS * INBOX })

  const described = {
    floorIs: 'bare Fastify, pages in memory',
    unit: 'messages/s',
    better: 'more',
    target: { ratio: 0.35 },
  } as const
  const what = `offline drain, ${INBOX / 1_000} 000 messages by pages of ${PAGE}`
  return {
    rows: [
      rowOf({ what, ...described }, measured.ours1, measured.floor1),
      rowOf(
        { what: `offline drain, ${READERS} readers at once`, ...described },
        measured.ours8,
        measured.floor8,
      ),
    ],
    // The same client with the floor: the most that it is known to take.
    generator: {
      tool: 'own client, with the floor',
      ceiling: Math.max(median(measured.floor1), median(measured.floor8)),
      fastest: Math.max(median(measured.ours1), median(measured.ours8)),
    },
  }
}

/** Everybody drains the inbox from the beginning, again and again. @returns messages per second */
async function drainAll(url: string, readers: Person[], seconds: number): Promise<number> {
  const startedAt = performance.now()
  const endsAt = startedAt + 1_000 * seconds
  let messages = 0
  const drains = readers.map(async (reader) => {
    const connection = await Connection.open(url)
    while (performance.now() < endsAt) {
      await drainOne(connection, reader)
      messages += INBOX
    }
    connection.close()
  })
  await Promise.all(drains)
  return messages / ((performance.now() - startedAt) / 1_000)
}

/** @returns the pages; to parse them here would take longer than to make them */
async function drainOne(connection: Connection, reader: Person): Promise<Buffer[]> {
  const pages: Buffer[] = []
  for (let cursor = 0; cursor < INBOX; ) {
    const answer = await connection.request(pollText(reader, cursor, `limit=${PAGE}&wait=0`))
    expectStatus(answer, 200)
    const [, next] = /"cursor":(\d+)/.exec(answer.body.subarray(-60).toString('latin1')) ?? []
    cursor = Number(next)
    pages.push(answer.body)
  }
  return pages
}

/** Once each message is looked at. */
async function checkedDrain(url: string, reader: Person) {
  const connection = await Connection.open(url)
  const pages = await drainOne(connection, reader)
  connection.close()
  const messages = pages.flatMap(
    (page) => JSON.parse(page.toString()).messages as { seq: number; body: string }[],
  )
  const right = messages.every(({ seq, body }, index) => seq === index + 1 && body === BODY)
  if (!right || messages.length !== INBOX)
    throw new Error('The drained messages are not those that were stored.')
}
