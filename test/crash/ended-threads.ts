import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Client, range } from '../support/client.ts'
import { noDatabaseYet } from '../support/databases.ts'
import { PROGRAM } from '../support/program.ts'
import { spawnProgram, spawnServer } from '../support/servers.ts'

/**
 * Database threads of SQLite that end by themselves.
 *
 * @param atStart the threads that end before they have opened the file
 * @param running those that end later
 */
export function describeEndedThreads({ atStart, running }: { atStart: string[]; running: string[] }): void {
  const command = (where: string) => [
    process.execPath,
    `--import=${new URL(`../support/ending-thread.mjs?${where}`, import.meta.url).href}`,
    PROGRAM,
  ]

  describe('a database thread that ends by itself', () => {
    for (const role of atStart)
      it(`stops the start with a message: the ${role}`, async (t) => {
        const program = spawnProgram(t, {}, noDatabaseYet(t), command(`at-start-${role}`))

        assert.equal(await program.exited, 1)
        assert.match(program.errors(), /^The database .* cannot be opened: The database thread ended .*\n$/)
      })

    for (const thread of running)
      it(`ends the process, so that its supervisor starts it again: the ${thread}`, async (t) => {
        const server = await spawnServer(t, {}, undefined, command(thread))
        // This many cause a checkpoint, which has a thread of its own.
        if (thread === 'checkpoints') {
          const ada = await new Client(server).join('ada')
          await Promise.all(range(1, 80).map(() => ada.send('ada', '📦'.repeat(16_000))))
        }

        // A thread that is about to start gets a later signal.
        const signals = setInterval(() => server.process.kill('SIGWINCH'), 100)
        t.after(() => clearInterval(signals))

        assert.equal(await server.exited, 1)
        assert.match(server.logs.at(-1)?.msg ?? '', /The database is lost/)
      })
  })
}
