import type { Command } from 'commander'
import { accountDetailsJson, accountDetailsTables, accountJson } from './account-output.ts'
import type { Context } from './context.ts'
import { Refused } from './errors.ts'
import { minute, safeJson } from './formatting.ts'
import { readAnswer, readNewPassword } from './prompts.ts'

const STDIN = '\nAt a terminal the password is asked for twice; otherwise it is one line of standard input.\n'

/** `restante user …` */
export function addUserCommands(program: Command, context: Context): void {
  const user = program.command('user').description('show and change accounts')

  user
    .command('list')
    .description('list all accounts')
    .option('--json', 'print JSON, one account per line')
    .addHelpText('after', examples('restante user list', "restante user list --json | jq '.[].username'"))
    .action(({ json }: { json?: true }) => (json ? printList(context) : showList(context)))

  user
    .command('show')
    .description('show an account, its sessions and its application tokens')
    .argument('<name>', 'its username')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('restante user show ada'))
    .action(async (name: string, { json }: { json?: true }) => {
      const account = await context.withOperator((operator) => operator.call('showAccount', name))
      if (json) return context.printJson(accountDetailsJson(account))
      for (const rows of accountDetailsTables(account)) context.printTable(rows)
    })

  user
    .command('add')
    .description('create an account, whatever REGISTRATION says')
    .argument('<name>', 'the username: 3 to 32 letters a-z, digits, and . _ -')
    .option('--display-name <text>', 'the name that others see; default: the username')
    .addHelpText('after', STDIN)
    .addHelpText(
      'after',
      examples(
        'restante user add ada --display-name "Ada Lovelace"',
        'openssl rand -base64 18 | tee ada.txt | restante user add ada',
      ),
    )
    .action(async (username: string, { displayName }: { displayName?: string }) => {
      context.load()
      const password = await readNewPassword(context.terminal, username)
      const account = { username, password, ...(displayName !== undefined && { displayName }) }
      await context.withOperator((operator) => operator.call('addAccount', account))
      context.say(`Added ${username}.`)
    })

  user
    .command('password')
    .description('set a new password and end all sessions; application tokens stay')
    .argument('<name>', 'the username')
    .addHelpText('after', STDIN)
    .addHelpText('after', examples('restante user password ada', 'restante user password ada < new-password'))
    .action(async (username: string) => {
      context.load()
      const password = await readNewPassword(context.terminal, username)
      await context.withOperator((operator) => operator.call('setPassword', username, password))
      context.say(`Set the password of ${username}. All its sessions have ended.`)
    })

  user
    .command('disable')
    .description('end all sessions and refuse logins and application tokens; keeps the messages')
    .argument('<name>', 'the username')
    .addHelpText('after', examples('restante user disable mallory'))
    .action(async (username: string) => {
      await context.withOperator((operator) => operator.call('disableAccount', username))
      context.say(`Disabled ${username}. All its sessions have ended.`)
    })

  user
    .command('enable')
    .description('accept logins and application tokens again')
    .argument('<name>', 'the username')
    .addHelpText('after', examples('restante user enable mallory'))
    .action(async (username: string) => {
      await context.withOperator((operator) => operator.call('enableAccount', username))
      context.say(`Enabled ${username}.`)
    })

  user
    .command('delete')
    .description('delete an account and its inbox; the username stays taken')
    .argument('<name>', 'the username')
    .option('--yes', 'do not ask for confirmation')
    .addHelpText('after', examples('restante user delete mallory', 'restante user delete mallory --yes'))
    .action((username: string, { yes }: { yes?: true }) => deleteAccount(context, username, yes === true))
}

/** The examples at the end of a help text. */
export const examples = (...lines: string[]): string =>
  `\n${lines.length > 1 ? 'Examples' : 'Example'}:\n${lines.map((line) => `  ${line}\n`).join('')}`

/** Writes the array account by account: there may be a million. */
async function printList(context: Context) {
  const { stdout } = context.terminal
  await context.withOperator(async (operator) => {
    let before = '['
    for await (const account of operator.accounts()) {
      stdout.write(`${before}\n${safeJson(accountJson(account))}`)
      before = ','
    }
    stdout.write(before === '[' ? '[]\n' : '\n]\n')
  })
}

async function showList(context: Context) {
  const rows = [['USERNAME', 'NAME', 'STATE', 'SESSIONS', 'UNREAD', 'LAST SEEN', 'CREATED']]
  await context.withOperator(async (operator) => {
    for await (const { inbox, ...account } of operator.accounts())
      rows.push([
        account.username,
        account.displayName,
        account.disabledAtMs === undefined ? 'enabled' : 'disabled',
        String(account.sessions),
        String(inbox.unread),
        minute(account.lastSeenAtMs),
        minute(account.createdAtMs),
      ])
  })
  context.printTable(rows)
}

async function deleteAccount(context: Context, name: string, isConfirmed: boolean) {
  if (!isConfirmed) {
    // Close the database before the prompt: a server could not start meanwhile.
    const account = await context.withOperator((operator) => operator.call('showAccount', name))
    const { username, displayName, stored } = account
    context.say(`This deletes ${username} (${displayName}) and ${stored} stored inbox entries.`)
    const answer = await readAnswer(context.terminal, 'Type the username to confirm: ')
    if (answer.trim().toLowerCase() !== username)
      throw new Refused('That is not the username. Nothing was deleted. To skip the question, use --yes.')
  }
  await context.withOperator((operator) => operator.call('deleteAccount', name))
  context.say(`Deleted ${name}.`)
}
