/**
 * Several nodes on one PostgreSQL, many clients, and faults of processes, the database, and the connections
 * between them. Afterwards the recorded responses prove that no promise was broken.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { addAccounts } from '../support/accounts.ts'
import { Client } from '../support/client.ts'
import type { Ending } from '../support/endings.ts'
import { eventually } from '../support/eventually.ts'
import { randomFrom } from '../support/random.ts'
import { withSql } from '../support/sql.ts'
import { Account } from './account.ts'
import { Caller } from './caller.ts'
import { Chaos } from './chaos.ts'
import { type Judgement, judge } from './checker.ts'
import { type Cluster, startNodes } from './cluster.ts'
import { Recorder } from './recorder.ts'
import { readOutstanding, readStored } from './stored.ts'

const NODES = 3
const ACCOUNTS = 20

/** How long the nodes may take to start, connect and catch up. */
const HEALED_MS_MAX = 60_000

/** How long readers may take at the end for the remaining messages: longer than a poll may wait for one. */
const DRAIN_MS_MAX = 30_000

export interface Verdict extends Judgement {
  /** How often each fault happened. */
  faults: Map<string, number>
}

export async function runFaults(t: Ending, minutes: number, seed: number): Promise<Verdict> {
  const recorder = new Recorder()
  const cluster = await startNodes(t, NODES, recorder)
  const names = Array.from({ length: ACCOUNTS }, (_, at) => `user${at + 1}`)
  const caller = new Caller(cluster, recorder)
  const accounts = names.map((name) => new Account(name, names, caller, seed))
  await withSql(cluster.databaseUrl, (sql) => addAccounts(sql, ...names))

  const running = Promise.all(accounts.map((account) => account.run()))
  const chaos = new Chaos(cluster, recorder, randomFrom(seed))
  const breaking = chaos.run()
  await pause(minutes * 60_000)

  chaos.stop()
  await breaking
  await Promise.all(
    cluster.nodes.map(({ url }) => eventually('a node is ready', () => isReady(url), HEALED_MS_MAX)),
  )
  for (const account of accounts) account.settle()
  await running
  await drain(cluster, accounts)
  await Promise.all(accounts.map((account) => account.stop()))
  await Promise.all(cluster.nodes.map((node) => node.end('SIGTERM')))

  const stored = await readStored(cluster.databaseUrl)
  return { ...judge({ ...recorder.history(), stored }), faults: chaos.caused }
}

async function isReady(url: string | undefined): Promise<boolean> {
  if (url === undefined) return false
  const { status } = await new Client({ url }).get('/readyz')
  return status === 200
}

/**
 * Waits until everything is received; otherwise the checks report the accounts. Received messages are
 * acknowledged and may bring receipts, which must be received, too.
 */
async function drain({ databaseUrl }: Cluster, accounts: Account[]) {
  const isDone = async () => {
    const outstanding = await readOutstanding(databaseUrl)
    return accounts.every(({ name, receivedSeq }) => {
      const { newestSeq = 0, owesReceipts = false } = outstanding.get(name) ?? {}
      return receivedSeq >= newestSeq && !owesReceipts
    })
  }
  await eventually('everything is received', isDone, DRAIN_MS_MAX).catch(() => {})
}
