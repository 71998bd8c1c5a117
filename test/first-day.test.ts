/** The commands of the first day in docs/operating.md, typed into a shell, print the output shown there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, type Person, passwordOf } from './support/client.ts'
import { onPostgres, scratchFolder } from './support/databases.ts'
import { type Day, inviteIn, walkThroughFirstDay } from './support/first-day.ts'
import { type ParkedPoll, park } from './support/parked.ts'
import { PROGRAM } from './support/program.ts'
import {
  missingCommands,
  pathWithPrograms,
  postgresStandIns,
  standIn,
} from './support/stand-ins/stand-ins.ts'

/** Replaces npm and npx, which take more processor time than the program that they start. */
const RESTANTE = `exec '${process.execPath}' '${PROGRAM}'`

test('a new operator can do what the first day of the runbook shows, with the same answers', async (t) => {
  let bob: Person
  let poll: ParkedPoll
  /** They use the other node, if there is one. */
  const clientAt = ({ urls }: Day) => new Client({ url: urls.at(-1) as string })

  await walkThroughFirstDay(
    t,
    scratchFolder(t),
    pathWithPrograms(t, {
      npm: RESTANTE,
      npx: `shift; ${RESTANTE} "$@"`,
      ...Object.fromEntries(missingCommands().map((command) => [command, standIn(command)])),
      ...(onPostgres && postgresStandIns()),
    }),
    {
      'Watch them register': {
        before: async (day) => {
          const client = clientAt(day)
          for (const name of ['ada', 'bob'])
            assert.equal((await client.register(name, passwordOf(name), inviteIn(day))).status, 201)
          await client.enter('ada')
          bob = await client.enter('bob')
        },
      },
      'Bob misbehaves': {
        before: async () => {
          poll = await park(t, bob, 'wait=55')
        },
        after: async () => {
          const { status, body } = await poll.answer()
          assert.deepEqual(
            [status, body.code, body.detail],
            [401, 'session_ended', 'This account is disabled. Ask the operator of this server.'],
          )
        },
      },
      'He is sorry': {
        after: async (day) => {
          bob = await clientAt(day).enter('bob')
          await bob.sendMany('ada', 3)
        },
      },
      'Life goes on': { before: () => bob.sendMany('ada', 2) },
    },
  )
})
