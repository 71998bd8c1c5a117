import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { withConnection } from '../support/connection.ts'
import { sendAll } from '../support/load.ts'
import { inTurn, rowOf, type Scenario } from '../support/measure.ts'
import { people, person } from '../support/people.ts'
import { close, park } from '../support/polls.ts'
import { type Service, startServer } from '../support/processes.ts'
import { grouped } from '../support/report.ts'
import { pollText } from '../support/requests.ts'
import { addMessages, seed, verifyStore } from '../support/store.ts'

const SENDERS = people(0, 64)

/** Whether stored messages, accounts and parked polls make a send more expensive. */
export const scale: Scenario = async (bench) => {
  const parked = bench.size(10_000, 500)
  const [accounts, messages] = [bench.size(100_000, 5_000), bench.size(1_000_000, 20_000)]
  // In this order: the senders, the people with parked polls, the offline recipients.
  const offlineFrom = SENDERS.length + parked
  const few = offlineFrom + bench.size(10_000, 1_000)
  const [fullFile, emptyFile] = [join(bench.folder, 'scale.db'), join(bench.folder, 'scale-empty.db')]
  await seed(fullFile, accounts)
  addMessages(fullFile, { messages, senders: accounts }, () => Math.floor(Math.random() * accounts))
  await seed(emptyFile, few)

  const drive = async ({ url }: Service, count: number) => {
    const warmUp = await sendAll(url, SENDERS, [offlineFrom, count - 1], bench.warmUpSeconds)
    const sent = await sendAll(url, SENDERS, [offlineFrom, count - 1], bench.seconds)
    return { perSecond: sent.perSecond, accepted: warmUp.accepted + sent.accepted }
  }
  const full = await startServer(fullFile)
  await withConnection(full.url, async (connection) => {
    for (const reader of people(offlineFrom, parked))
      await connection.expect(200, pollText(reader, 0, 'wait=0'))
  })
  const polls = await park(full, people(SENDERS.length, parked), person(0))
  let accepted = messages
  const sends = await inTurn(bench.rounds, {
    full: async () => {
      const sent = await drive(full, accounts)
      accepted += sent.accepted
      return sent.perSecond
    },
    empty: async () => {
      const file = join(bench.folder, 'scale-round.db')
      copyFileSync(emptyFile, file)
      const server = await startServer(file)
      const sent = await drive(server, few)
      await server.stop()
      await verifyStore(file, sent.accepted, 2 * SENDERS.length)
      return sent.perSecond
    },
  })
  close(polls)
  await full.stop()
  await verifyStore(fullFile, accepted, 2 * bench.rounds * SENDERS.length)

  const what = `durable sends, ${grouped(messages)} messages stored, ${grouped(parked)} polls parked`
  const rest = { floorIs: 'the same with an empty database', note: `${grouped(accounts)} accounts` }
  return [rowOf({ what, unit: 'messages/s', ...rest, target: { ratio: 0.85 } }, sends.full, sends.empty)]
}
