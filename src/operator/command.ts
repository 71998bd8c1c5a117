import { Command, CommanderError } from 'commander'
import { check } from './check.ts'
import { Context, type Terminal } from './context.ts'
import { addDatabaseCommands } from './database-commands.ts'
import { addInviteCommands } from './invite-commands.ts'
import { wordsOf } from './mistakes.ts'
import { safeLines } from './output.ts'
import { addUserCommands, examples } from './user-commands.ts'
import { version } from './version.ts'

/** A wrong use of the command, and nothing was done. */
const WRONG_USE = 2
const FAILED = 1

const ABOUT = `
Settings are environment variables, and lines of .env in the working directory, which variables override:
README.md, "Configuration", says what each of them means. A command needs the DATABASE_URL of the server, and its
OPS_SOCKET. It speaks to the running server, and without one works on the database itself.
Without a command: start.

Exit codes: 0, 1 refused or failed, 2 wrong use. Data goes to stdout, words to stderr.
`

/**
 * Runs the command `restante`.
 *
 * @param argv behind the name of the program
 * @returns what the process should end with; undefined while a server runs
 */
export async function runCommand(argv: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const context = new Context(terminal)
  const program = programFor(context)
  try {
    await program.parseAsync(argv.length > 0 ? argv : ['start'], { from: 'user' })
    return context.exitCode
  } catch (error) {
    // It has said what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE
    terminal.stderr.write(`${safeLines(wordsOf(error))}\n`)
    return FAILED
  }
}

function programFor(context: Context): Command {
  const { terminal } = context
  const program = new Command('restante')
    .description('Restante: one-to-one messages over plain HTTP.')
    .version(version(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('(--help says more; settings are no arguments, but environment variables: README.md)')
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(safeLines(text)),
    })
    .addHelpText('after', ABOUT)
    .addHelpText(
      'after',
      examples(
        'restante user add ada',
        'restante invite create --url https://chat.example',
        'restante backup /backup/restante.db',
      ),
    )

  program
    .command('start')
    .description('start the server')
    .addHelpText(
      'after',
      examples('PORT=8080 DATABASE_URL=file:/var/lib/restante/restante.db restante start'),
    )
    .action(async () => {
      await terminal.start()
      context.exitCode = undefined
    })
  addUserCommands(program, context)
  addInviteCommands(program, context)
  program
    .command('stats')
    .description('count accounts, sessions, messages and invites')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('restante stats'))
    .action(({ json }: { json?: true }) => stats(context, json === true))
  addDatabaseCommands(program, context)
  program
    .command('check')
    .description('say which settings are in force, and whether a start would be refused; changes nothing')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('restante check'))
    .action(({ json }: { json?: true }) => check(context, json === true))
  program
    .command('version')
    .description('print the version')
    .action(() => context.print(version()))
  return program
}

async function stats(context: Context, json: boolean) {
  const stats = await context.withOperator((operator) => operator.call('stats'))
  if (json) return context.printJson(stats)
  const { online, parkedPolls } = stats
  context.printTable([
    ['Accounts', String(stats.accounts)],
    ['Disabled', String(stats.disabled)],
    ['Sessions', String(stats.sessions)],
    ['Stored', String(stats.stored)],
    ['Unread', String(stats.unread)],
    ['Invites', `${stats.invites}, for ${stats.invitedAccounts} accounts`],
    ...(online === undefined ? [] : [['Online', String(online)]]),
    ...(parkedPolls === undefined ? [] : [['Parked polls', String(parkedPolls)]]),
  ])
}
