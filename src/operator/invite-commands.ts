import { networkInterfaces } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { duration, integer, type Variable } from '../config/values.ts'
import type { Config } from '../config.ts'
import type { Context } from './context.ts'
import { minute } from './output.ts'
import { inviteJson, inviteRow } from './shapes.ts'
import { startNotice } from './start-notice.ts'
import { examples } from './user-commands.ts'
import { version } from './version.ts'

const USES = integer('--uses', 1, 1, 1_000_000)
const EXPIRES = duration('--expires', '7d', 1_000, 'never')
const ID = integer('<id>', 1, 1, Number.MAX_SAFE_INTEGER)
const NOTE_LENGTH_MAX = 200

interface CreateOptions {
  uses: number
  expires: number
  note?: string
  url?: string
  json?: true
}

/** `restante invite …` */
export function addInviteCommands(program: Command, context: Context): void {
  const invite = program.command('invite').description('invite people to register')

  invite
    .command('create')
    .description('make an invite and print its link, which is shown this once')
    .option('--uses <number>', 'how many accounts may be made with it', number(USES), 1)
    .option(
      '--expires <duration>',
      'how long it is good: 12h, 7d, or never',
      number(EXPIRES),
      EXPIRES.parse(EXPIRES.initial),
    )
    .option('--note <text>', 'for you, to know it again', note)
    .option('--url <url>', 'where people reach the page; else where this server listens', pageUrl)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'restante invite create --url https://chat.example --note "for Ada"',
        'restante invite create --uses 30 --expires 24h --note "class 4b"',
      ),
    )
    .action((options: CreateOptions) => create(context, options))

  invite
    .command('list')
    .description('list all invites but revoked ones; codes are not stored')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('restante invite list'))
    .action(async ({ json }: { json?: true }) => {
      const invites = await context.withOperator((operator) => operator.call('listInvites'))
      if (json) return context.printJson(invites.map(inviteJson))
      const names = ['ID', 'STATE', 'USED', 'EXPIRES', 'CREATED', 'NOTE']
      context.printTable([names, ...invites.map((one) => inviteRow(one, Date.now()))])
    })

  invite
    .command('revoke')
    .description('nobody registers with it any more; accounts that were made with it stay')
    .argument('<id>', 'the number that "restante invite list" shows', number(ID))
    .addHelpText('after', examples('restante invite revoke 3'))
    .action(async (id: number) => {
      await context.withOperator((operator) => operator.call('revokeInvite', id))
      context.say(`Revoked invite ${id}.`)
    })
}

async function create(context: Context, { uses, expires, note, url, json }: CreateOptions) {
  const expiresInMs = Number.isFinite(expires) ? expires : undefined
  const { invite, page } = await context.withOperator(async (operator) => {
    const state = await operator.call('state')
    const page = url ?? (state ? state.page : pageOf(context.load().config))
    return { invite: await operator.call('createInvite', { uses, expiresInMs, note }), page }
  })
  const { code, ...stored } = invite
  const link = page && `${page.replace(/\/$/, '')}/#invite=${code}`
  if (json) context.printJson({ ...inviteJson(stored), code, ...(link && { link }) })
  else context.print(link ?? code)
  const accounts = uses === 1 ? 'one account' : `${uses} accounts`
  context.say(`Invite ${stored.id}, for ${accounts}, expires: ${minute(stored.expiresAtMs, 'never')}.`)
  if (!link) context.say('That is its code: this server has no page, or no fixed port. A link takes --url.')
  else if (!url) context.say(`The link is where the server listens. For others: --url https://chat.example`)
  if (context.load().config.registration === 'closed')
    context.say('REGISTRATION is closed in these settings, where nobody can use an invite.')
}

/** Where a server with these settings would have its page. */
function pageOf(config: Config): string | undefined {
  return config.port === 0
    ? undefined
    : startNotice(config, version(), config.port, networkInterfaces()).page?.[0]
}

/** How commander reads an option as a setting is read. */
const number =
  ({ parse, expected, hint }: Variable<number>) =>
  (text: string): number => {
    const value = parse(text)
    if (value !== undefined) return value
    throw new InvalidArgumentError([`Expected ${expected}.`, hint?.(text)].filter(Boolean).join(' '))
  }

function note(text: string): string {
  if ([...text].length <= NOTE_LENGTH_MAX) return text
  throw new InvalidArgumentError(`Expected at most ${NOTE_LENGTH_MAX} characters.`)
}

function pageUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username) return url.href
  throw new InvalidArgumentError('Expected an address such as https://chat.example.')
}
