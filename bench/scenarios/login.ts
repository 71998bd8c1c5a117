import { join } from 'node:path'
import type { Scenario } from '../support/bench.ts'
import { Connection, expectStatus } from '../support/connection.ts'
import { Exchange } from '../support/pairs.ts'
import { PASSWORD } from '../support/password.ts'
import { named, person, usernameOf } from '../support/people.ts'
import { loginText } from '../support/requests.ts'
import { inTurn, rowOf } from '../support/rows.ts'
import { percentile } from '../support/stats.ts'
import { seed, verifyStore } from '../support/store.ts'

const CONNECTIONS = 8
const ACCOUNTS = 1_000

interface Logins {
  perSecond: number
  /** Of a pair that exchanges messages while all cores hash passwords. */
  latencies: number[]
  messages: number
}

/** Logins cost what Argon2id costs, and do not hold up messages. */
export const login: Scenario = async (bench) => {
  const file = join(bench.folder, 'login.db')
  await seed(bench.processes, file, { accounts: ACCOUNTS })
  const server = await bench.processes.server(file)
  const fastify = await bench.processes.floor('bare-fastify')
  const broker = await bench.processes.floor('broker')

  // The last two exchange messages, so they do not log in.
  const ours = new Exchange(server.url, [{ sender: person(ACCOUNTS - 2), receiver: person(ACCOUNTS - 1) }])
  const floor = new Exchange(broker.url, [{ sender: named(0), receiver: named(1) }])
  let accepted = 0
  const busy = async (exchange: Exchange, url: string, seconds = bench.seconds): Promise<Logins> => {
    const [perSecond, { latencies, messages }] = await Promise.all([
      logIn(url, seconds),
      exchange.run(seconds),
    ])
    if (exchange === ours) accepted += messages
    return { perSecond, latencies, messages }
  }
  await busy(ours, server.url, bench.warmUpSeconds)
  await busy(floor, fastify.url, bench.warmUpSeconds)
  const measured = await inTurn(bench.rounds, {
    ours: () => logIn(server.url, bench.seconds),
    floor: () => logIn(fastify.url, bench.seconds),
    oursBusy: () => busy(ours, server.url),
    // The broker in its own process, while another one takes all cores for as many logins.
    floorBusy: () => busy(floor, fastify.url),
  })
  await Promise.all([server.stop(), fastify.stop(), broker.stop()])
  verifyStore(file, { accepted })

  const latencyRow = (share: number) =>
    rowOf(
      {
        what: `send to answered poll while passwords are hashed, p${100 * share}`,
        floorIs: 'node:http broker beside a process that hashes',
        unit: 'ms',
        better: 'less',
      },
      measured.oursBusy.map(({ latencies }) => percentile(latencies, share)),
      measured.floorBusy.map(({ latencies }) => percentile(latencies, share)),
    )
  return {
    rows: [
      rowOf(
        {
          what: `logins, ${CONNECTIONS} connections`,
          floorIs: 'bare Fastify, one Argon2id check each',
          unit: 'logins/s',
          better: 'more',
        },
        measured.ours,
        measured.floor,
      ),
      latencyRow(0.5),
      latencyRow(0.99),
    ],
  }
}

/** @returns logins per second */
async function logIn(url: string, seconds: number): Promise<number> {
  const startedAt = performance.now()
  const endsAt = startedAt + 1_000 * seconds
  let [next, logins] = [0, 0]
  const people = Array.from({ length: CONNECTIONS }, async () => {
    const connection = await Connection.open(url)
    while (performance.now() < endsAt) {
      next = (next + 1) % (ACCOUNTS - 2)
      expectStatus(await connection.request(loginText(usernameOf(next), PASSWORD)), 200)
      logins += 1
    }
    connection.close()
  })
  await Promise.all(people)
  return logins / ((performance.now() - startedAt) / 1_000)
}
