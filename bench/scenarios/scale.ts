import { join } from 'node:path'
import type { Scenario } from '../support/bench.ts'
import { Connection, expectStatus } from '../support/connection.ts'
import { sendAll } from '../support/load.ts'
import { idleAfterUse, ParkedPolls } from '../support/parked-polls.ts'
import { type Person, people, person } from '../support/people.ts'
import { COLLECTING, type Service } from '../support/processes.ts'
import { grouped } from '../support/report.ts'
import { pollText } from '../support/requests.ts'
import { inTurn, rowOf } from '../support/rows.ts'
import { copyOf, seed, verifyStore } from '../support/store.ts'

const CONNECTIONS = 64
const SENDERS = people(0, CONNECTIONS)

/** A round takes more than a minute. */
const MEMORY_ROUNDS_MAX = 3

/** Whether what is stored, who is registered and who waits makes a send or a poll dearer. */
export const scale: Scenario = async (bench) => {
  const parked = bench.size(10_000, 500)
  const contents = { accounts: bench.size(100_000, 5_000), messages: bench.size(1_000_000, 20_000) }
  const few = { accounts: CONNECTIONS + parked + bench.size(10_000, 1_000), messages: 0 }
  const [fullFile, template] = [join(bench.folder, 'scale.db'), join(bench.folder, 'scale-empty.db')]
  await seed(bench.processes, fullFile, contents)
  await seed(bench.processes, template, few)

  /** First the senders, then who waits, then who is away and gets the messages. */
  const waiting = people(CONNECTIONS, parked)
  const away = people(CONNECTIONS + parked, parked)
  const drive = async ({ url }: Service, accounts: number, seconds: number) => {
    const recipients = { first: CONNECTIONS + parked, last: accounts - 1 }
    return sendAll({ url, senders: SENDERS, recipients, seconds, connections: CONNECTIONS }, bench.folder)
  }
  const roundFile = (of: string) => copyOf(of, join(bench.folder, 'scale-round.db'))

  /** Sends and reads come first: what they fill the cache of the database with is no part of a poll. */
  const kilobytesPerPoll = async (of: string, { accounts, messages }: typeof contents) => {
    const file = roundFile(of)
    const server = await bench.processes.server(file, {}, COLLECTING)
    const { accepted } = await drive(server, accounts, bench.warmUpSeconds)
    await readInboxes(server, away)
    const idleBytes = await idleAfterUse(server, person)
    // Whoever has polled before takes some more, and who finds messages comes a second time.
    await readInboxes(server, waiting)
    const polls = new ParkedPolls(server.url)
    await polls.add(waiting)
    await server.settled()
    const bytes = (await server.heldBytes()) - idleBytes
    polls.close()
    await server.stop()
    verifyStore(file, { accepted: messages + accepted, unheardMax: CONNECTIONS })
    return bytes / parked / 1_024
  }
  // One after the other: two times as many polls would be more than one process may have open.
  const memory = await inTurn(Math.min(bench.rounds, MEMORY_ROUNDS_MAX), {
    full: () => kilobytesPerPoll(fullFile, contents),
    empty: () => kilobytesPerPoll(template, few),
  })

  const full = await bench.processes.server(fullFile)
  let accepted = contents.messages
  const driveFull = async (seconds: number) => {
    const sent = await drive(full, contents.accounts, seconds)
    accepted += sent.accepted
    return sent.perSecond
  }
  await readInboxes(full, away)
  const polls = new ParkedPolls(full.url)
  await polls.add(waiting)
  await full.settled()
  const sends = await inTurn(bench.rounds, {
    full: async () => {
      await driveFull(bench.warmUpSeconds)
      return driveFull(bench.seconds)
    },
    empty: async () => {
      const file = roundFile(template)
      const server = await bench.processes.server(file)
      const warmUp = await drive(server, few.accounts, bench.warmUpSeconds)
      const sent = await drive(server, few.accounts, bench.seconds)
      await server.stop()
      verifyStore(file, { accepted: warmUp.accepted + sent.accepted, unheardMax: 2 * CONNECTIONS })
      return sent.perSecond
    },
  })
  polls.close()
  await full.stop()
  verifyStore(fullFile, { accepted, unheardMax: 2 * bench.rounds * CONNECTIONS })

  const described = `${grouped(contents.messages)} messages stored`
  return {
    rows: [
      rowOf(
        {
          what: `durable sends, ${described}, ${grouped(parked)} polls parked`,
          floorIs: 'the same with an empty database',
          unit: 'messages/s',
          better: 'more',
          target: { ratio: 0.85 },
          note: `${grouped(contents.accounts)} accounts`,
        },
        sends.full,
        sends.empty,
      ),
      rowOf(
        {
          what: `memory of a parked poll, ${described}`,
          floorIs: 'the same with an empty database',
          unit: 'kB',
          better: 'less',
        },
        memory.full,
        memory.empty,
      ),
    ],
  }
}

/** As they will be read by those who wait, but by others. */
async function readInboxes({ url }: Service, readers: Person[]) {
  const connection = await Connection.open(url)
  for (const reader of readers) expectStatus(await connection.request(pollText(reader, 0, 'wait=0')), 200)
  connection.close()
}
