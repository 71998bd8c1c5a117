import { Command, CommanderError } from 'commander'
import { version } from '../config/version.ts'
import { check } from './check-command.ts'
import { Context, type Terminal } from './context.ts'
import { addDatabaseCommands } from './database-commands.ts'
import { describeError } from './errors.ts'
import { safeLines } from './formatting.ts'
import { addInviteCommands } from './invite-commands.ts'
import { addUserCommands, examples } from './user-commands.ts'

const EXIT_FAILED = 1
/** The arguments were wrong, and nothing was done. */
const EXIT_WRONG_USE = 2

const ABOUT = `
Settings are environment variables, or lines of .env in the working directory; variables override lines.
README.md, "Configuration", explains each. A command needs the server's DATABASE_URL and OPS_SOCKET. It talks to
the running server, or works on the database if no server runs.
The default command is start.

Exit codes: 0 success, 1 refused or failed, 2 wrong use. Data goes to stdout, messages to stderr.
`

/**
 * Runs the command `restante`.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code; undefined while a server runs
 */
export async function runCommand(argv: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const context = new Context(terminal)
  const program = programFor(context)
  try {
    await program.parseAsync(argv.length > 0 ? argv : ['start'], { from: 'user' })
    return context.exitCode
  } catch (error) {
    // Commander has printed its message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_USE
    terminal.stderr.write(`${safeLines(describeError(error))}\n`)
    return EXIT_FAILED
  }
}

function programFor(context: Context): Command {
  const { terminal } = context
  const program = new Command('restante')
    .description('Restante: one-to-one messages over plain HTTP.')
    .version(version(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('(See --help. Settings are environment variables, not arguments: README.md)')
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
    .description('show the settings in force and whether a start would be refused; changes nothing')
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
