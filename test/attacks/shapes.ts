import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { range } from '../support/client.ts'
import type { Env } from '../support/servers.ts'
import type { AttackName } from './attacks.ts'
import type { Outcome } from './run.ts'
import { ATTACKER, AWAY, fillPages, HOME, loginFrom, type World } from './world.ts'

const MIB = 1_048_576

/** The maximum time of a login of the owner under attack. */
const OWNER_MS_MAX = 10_000

/** A kind of attack. */
export interface Shape {
  name: AttackName
  /** The title in the table. */
  title: string
  /** The cost to the attacker. */
  cost: string
  /** The number of connections of the attacker, in the full and in the short form. */
  connections: { long: number; short: number }
  /** The attacker connects like the trusted proxy, with addresses of its choice. */
  proxied?: boolean
  /** The settings of the server that differ. */
  env?: Env
  prepare?: (world: World) => Promise<unknown>
  /** Actions that must work meanwhile. Resolves with the failures. */
  beside?: (world: World, attackMs: number) => Promise<string[]>
  /** The maximum that the attacker can reach, however long it runs. */
  assertBounded?: (outcome: Outcome, world: World) => Promise<void> | void
}

/** The statuses of all refusals; 0 is a connection that was cut. */
function assertAnswers({ counts }: Outcome, ...statuses: number[]) {
  const others = Object.keys(counts.statuses).filter((status) => ![0, ...statuses].includes(Number(status)))
  assert.deepEqual(others, [], `The answers were ${JSON.stringify(counts.statuses)}.`)
}

/** Connections are shared by address, so the attack takes two addresses. */
const takesAllConnections: Shape = {
  name: 'idle',
  title: 'Takes all connections (`CONNECTIONS_MAX=1000`)',
  cost: 'no account, 3 000 connections',
  connections: { long: 3_000, short: 1_400 },
  env: { CONNECTIONS_MAX: '1000' },
}

export const shapes: Shape[] = [
  {
    name: 'documentsUnread',
    title: 'Pipelines 64 KiB of requests for documents on each connection, reads nothing',
    cost: 'no account, 60 connections, 4 MB',
    connections: { long: 60, short: 30 },
  },
  {
    name: 'pagesUnread',
    title: 'Pipelines 64 KiB of requests for inbox pages of 1 MiB on each connection, reads nothing',
    cost: '1 account, 60 connections, 4 MB',
    connections: { long: 60, short: 30 },
    prepare: fillPages,
  },
  {
    name: 'downloadsCut',
    title: 'Pipelines 20 downloads and cuts the connection, repeatedly',
    cost: 'no account, 20 connections at a time',
    connections: { long: 20, short: 20 },
  },
  {
    name: 'pagesRead',
    title: 'Reads 1 MiB pages, alternately with `after=0` and `after=1`',
    cost: '1 account, 400 connections',
    connections: { long: 400, short: 200 },
    prepare: fillPages,
    assertBounded: (outcome) => assertAnswers(outcome, 200, 429),
  },
  {
    name: 'pagesAhead',
    title: 'The same, with 100 requests ahead on each connection',
    cost: '1 account, 2 connections',
    connections: { long: 2, short: 2 },
    prepare: fillPages,
    assertBounded: (outcome) => assertAnswers(outcome, 200, 429),
  },
  {
    name: 'inboxFilled',
    title: 'Fills one inbox with messages of 64 KiB',
    cost: '21 accounts of one address, 21 connections',
    connections: { long: 21, short: 21 },
    beside: anotherSenderGetsThrough,
    assertBounded: (outcome) => {
      assertAnswers(outcome, 201, 409, 429)
      assert.ok(outcome.diskGrowthBytes < 300 * MIB, `The files grew by ${outcome.diskGrowthBytes} bytes.`)
    },
  },
  {
    name: 'inboxCrowded',
    title: 'Fills one inbox with messages of one character',
    cost: '21 accounts of one address, 21 connections',
    connections: { long: 21, short: 21 },
    beside: anotherSenderGetsThrough,
    assertBounded: (outcome) => assertAnswers(outcome, 201, 409, 429),
  },
  {
    name: 'rightPasswords',
    title: 'Logs in with right passwords, 60 concurrent logins from each of three addresses',
    cost: '18 accounts, 3 addresses, 180 connections',
    connections: { long: 180, short: 180 },
    proxied: true,
    beside: (world) => innocentLogins(world),
    assertBounded: (outcome) => assertAnswers(outcome, 200, 409, 429, 503),
  },
  {
    name: 'wrongPasswords',
    title: 'Guesses the password of one name; the owner logs in at home and elsewhere within 10 s',
    cost: 'no account, 50 addresses',
    connections: { long: 50, short: 50 },
    proxied: true,
    beside: ownerLogsIn,
    assertBounded: (outcome) => {
      assertAnswers(outcome, 401, 429, 503)
      const guesses = outcome.counts.statuses[401] ?? 0
      // Ten per address, then one every five minutes.
      assert.ok(guesses <= 50 * 12, `${guesses} guesses were tried.`)
    },
  },
  {
    name: 'slowHeads',
    title: 'Sends the headers of a request, one byte every half second',
    cost: 'no account, 500 connections',
    connections: { long: 500, short: 100 },
  },
  {
    name: 'slowBodies',
    title: 'Sends the body of a login, one byte every half second',
    cost: 'no account, 500 connections',
    connections: { long: 500, short: 100 },
  },
  {
    name: 'slowReaders',
    title: 'Requests 1.4 MB and reads nothing',
    cost: 'no account, 200 connections',
    connections: { long: 200, short: 60 },
  },
  {
    name: 'idle',
    title: 'Sends one request per connection, and keeps it open',
    cost: 'no account, 6 000 connections',
    connections: { long: 6_000, short: 500 },
  },
  ...(ATTACKER === undefined ? [] : [takesAllConnections]),
  {
    name: 'readiness',
    title: 'Floods `/readyz`',
    cost: 'no account, 64 connections',
    connections: { long: 64, short: 16 },
    assertBounded: (outcome) => assertAnswers(outcome, 200),
  },
  {
    name: 'forgedTokens',
    title: 'Floods the inbox with forged tokens',
    cost: 'no account, 64 connections',
    connections: { long: 64, short: 16 },
    assertBounded: (outcome) => assertAnswers(outcome, 401),
  },
  {
    name: 'unknownPaths',
    title: 'Floods unknown paths',
    cost: 'no account, 64 connections',
    connections: { long: 64, short: 16 },
    assertBounded: (outcome) => assertAnswers(outcome, 404),
  },
  {
    name: 'smallCalls',
    title: 'Looks up users and messages, renews its token and acknowledges, without a pause',
    cost: '1 account, 64 connections',
    connections: { long: 64, short: 16 },
    assertBounded: (outcome) => assertAnswers(outcome, 200, 204, 404, 429),
  },
]

/** Another account sends to the inbox under attack. */
async function anotherSenderGetsThrough({ ada, victim }: World, attackMs: number): Promise<string[]> {
  const failures: string[] = []
  for (const endMs = performance.now() + attackMs; performance.now() < endMs; ) {
    const { status, body } = await ada.send(victim, 'Did you get my letter?')
    if (status !== 201) failures.push(`Another sender: ${status} ${body.code}`)
    await pause(200)
  }
  return failures
}

/** People log in from other addresses, each for the first time there. */
async function innocentLogins({ client, victim }: World): Promise<string[]> {
  const failures: string[] = []
  for (const index of range(1, 3)) {
    const { status, body } = await loginFrom({ client, victim }, `192.0.2.${100 + index}`)
    if (status !== 200) failures.push(`An innocent login: ${status} ${body.code}`)
  }
  return failures
}

/** The owner repeats the login, with the requested waits, until it succeeds. */
async function ownerLogsIn(world: World): Promise<string[]> {
  // The attack has its effect.
  await pause(1_000)
  const failures: string[] = []
  for (const address of [HOME, AWAY]) {
    const startedMs = performance.now()
    let { status, headers } = await loginFrom(world, address)
    while (status !== 200 && performance.now() - startedMs < OWNER_MS_MAX) {
      await pause(1_000 * Number(headers.get('retry-after') ?? 1))
      ;({ status, headers } = await loginFrom(world, address))
    }
    const tookMs = performance.now() - startedMs
    if (status !== 200 || tookMs > OWNER_MS_MAX)
      failures.push(`The owner at ${address}: ${status} after ${Math.round(tookMs)} ms`)
  }
  return failures
}
