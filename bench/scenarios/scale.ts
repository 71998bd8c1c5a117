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

/** Whether what is stored, who is registered and who waits makes a send or a poll dearer. */
export const scale: Scenario = async (bench) => {
  const parked = bench.size(10_000, 500)
  const contents = { accounts: bench.size(100_000, 5_000), messages: bench.size(1_000_000, 20_000) }
  const few = { accounts: CONNECTIONS + parked + bench.size(10_000, 1_000) }
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

  // One after the other: two times as many polls would be more than one process may have open.
  const empty = await bench.processes.server(
    copyOf(template, join(bench.folder, 'scale-round.db')),
    {},
    COLLECTING,
  )
  const others = new ParkedPolls(empty.url)
  const emptyBytes = await bytesPerPoll(empty, others, waiting, async () => {
    await drive(empty, few.accounts, bench.warmUpSeconds)
    await readInboxes(empty, away)
  })
  others.close()
  await empty.stop()

  const full = await bench.processes.server(fullFile, {}, COLLECTING)
  const polls = new ParkedPolls(full.url)
  let accepted = contents.messages
  const driveFull = async (seconds: number) => {
    const sent = await drive(full, contents.accounts, seconds)
    accepted += sent.accepted
    return sent.perSecond
  }
  const fullBytes = await bytesPerPoll(full, polls, waiting, async () => {
    await driveFull(bench.warmUpSeconds)
    await readInboxes(full, away)
  })

  const measured = await inTurn(bench.rounds, {
    full: async () => {
      await driveFull(bench.warmUpSeconds)
      return driveFull(bench.seconds)
    },
    empty: async () => {
      const file = copyOf(template, join(bench.folder, 'scale-round.db'))
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
  verifyStore(fullFile, { accepted, unheardMax: (2 * bench.rounds + 1) * CONNECTIONS })

  const described = `${grouped(contents.messages)} messages stored`
  return {
    rows: [
      rowOf(
        {
          what: `durable sends, ${described}, ${grouped(parked)} polls parked`,
          floorIs: 'the same with an empty database',
          unit: 'messages/s',
          better: 'more',
          target: { ratio: 0.9 },
          note: `${grouped(contents.accounts)} accounts`,
        },
        measured.full,
        measured.empty,
      ),
      rowOf(
        {
          what: `memory of a parked poll, ${described}`,
          floorIs: 'the same with an empty database',
          unit: 'kB',
          better: 'less',
        },
        [fullBytes / 1_024],
        [emptyBytes / 1_024],
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

/** @param use fills the cache of the database, so that it is no part of what a poll takes */
async function bytesPerPoll(
  service: Service,
  polls: ParkedPolls,
  waiting: Person[],
  use: () => Promise<unknown>,
) {
  await use()
  const idleBytes = await idleAfterUse(service, person)
  // Whoever has polled before takes some more, and who finds messages comes a second time.
  await readInboxes(service, waiting)
  await polls.add(waiting)
  await service.settled()
  return ((await service.heldBytes()) - idleBytes) / polls.count
}
