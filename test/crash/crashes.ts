/**
 * kill -9 under load. Everything that the process has answered before must be true afterwards. This is no
 * power failure, for which commits are synced: see durability.test.ts.
 *
 * `CRASH_ROUNDS=20` sets the number of rounds, `CRASH_SEED=…` repeats a failed run as far as the scheduler
 * permits.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { addAccounts } from '../support/accounts.ts'
import { Client, Person } from '../support/client.ts'
import { fileOf, itOnSqlite, newDatabase, noDatabaseYet } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { randomFrom } from '../support/random.ts'
import { assertOneReceiptEach } from '../support/receipts.ts'
import { type Program, type RunningServer, spawnProgram, spawnServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'
import { checkCursors, checkInboxes, checkKeys } from './checks.ts'
import { Load, type People, RECIPIENTS, type Reader, SENDERS, type Sent } from './load.ts'

/**
 * @param usual the values used if the environment does not set others
 * @param atFirstStart whether first starts are killed, too
 */
export function describeCrashes(usual: { rounds: number; seed: number }, atFirstStart: boolean): void {
  const rounds = Number(process.env['CRASH_ROUNDS'] ?? usual.rounds)
  const seed = Number(process.env['CRASH_SEED'] ?? usual.seed)

  describe('kill -9', () => {
    it(`under a load of sends loses no accepted message, stores none twice, and gives one receipt each, ${rounds === 1 ? 'once' : `${rounds} times`}`, async (t) => {
      const random = randomFrom(seed)
      t.diagnostic(`CRASH_SEED=${seed} CRASH_ROUNDS=${rounds}`)
      const database = await newDatabase(t)
      await withSql(database, (sql) => addAccounts(sql, ...SENDERS, ...RECIPIENTS))
      let server = await spawnServer(t, {}, database)
      let people = await enterAll(server)
      const readers = RECIPIENTS.map((name): Reader => ({ name, cursor: 0, acknowledged: 0, shown: 0 }))
      const everything: Sent[] = []

      for (let round = 1; round <= rounds; round++) {
        const load = new Load(round, random, people, readers)
        await load.runUntilKilled(server.process, 20 + Math.floor(random() * 400))
        assert.equal(await server.exited, 'SIGKILL')
        everything.push(...load.sent)

        server = await spawnServer(t, {}, database)
        people = moved(people, server)
        const unanswered = load.sent.filter(({ id }) => id === undefined)
        const receipts = await assertOneReceiptEach(database)
        await checkCursors(people, readers)
        const kept = await checkInboxes(people, readers, everything)
        await checkKeys(people, load.sent, random)
        await checkInboxes(people, readers, everything)
        t.diagnostic(
          `round ${round}: ${load.sent.length - unanswered.length} accepted, ${unanswered.length} without an answer, ` +
            `of which ${unanswered.filter(({ body }) => kept.has(body)).length} were stored; ${receipts} have receipts`,
        )
        assert.ok(unanswered.length > 0, 'The kill came in the middle of sends.')
      }
      assert.ok((await assertOneReceiptEach(database)) > 0, 'Some messages have receipts.')
      await server.stop()
    })

    if (!atFirstStart) return

    // Only SQLite can leave a half-made file at a start; PostgreSQL migrates in transactions.
    itOnSqlite('at any moment of the first start is repaired by the next start', async (t) => {
      const random = randomFrom(seed)
      const opening = async (program: Program, database: string) => {
        const isThere = () => existsSync(fileOf(database))
        await Promise.race([eventually('the file is there', isThere, 30_000), program.exited])
        return performance.now()
      }
      const undisturbed = noDatabaseYet(t)
      const program = spawnProgram(t, {}, undisturbed)
      const openedMs = await opening(program, undisturbed)
      await program.listening
      const openingMs = performance.now() - openedMs

      for (let kill = 0; kill < rounds; kill++) {
        const database = noDatabaseYet(t)
        const first = spawnProgram(t, {}, database)
        await opening(first, database)
        // Spread over the migration and the steps after it, which leave no trace to wait for.
        await pause((openingMs * (kill + random())) / rounds)
        first.process.kill('SIGKILL')
        await first.exited

        const server = await spawnServer(t, {}, database)
        const ada = await new Client(server).join('ada')
        assert.equal((await ada.send('ada', 'Is this thing on?')).status, 201)
        await server.stop()
        assert.equal(server.errors(), '')
      }
    })
  })
}

async function enterAll(server: RunningServer): Promise<People> {
  const client = new Client(server)
  const people = await Promise.all([...SENDERS, ...RECIPIENTS].map((name) => client.enter(name)))
  return new Map(people.map((person) => [person.username, person]))
}

/** The same people with the same tokens, at the address of the restarted server. */
function moved(people: People, server: RunningServer): People {
  const client = new Client(server)
  return new Map(
    [...people].map(([name, { token, cursor }]) => [name, new Person(client, name, token, cursor)]),
  )
}
