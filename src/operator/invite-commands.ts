import { networkInterfaces } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { duration, integer, type Variable } from '../config/values.ts'
import { version } from '../config/version.ts'
import type { Config } from '../config.ts'
import type { Invite } from '../database/database.ts'
import { startNotice } from '../start-notice.ts'
import type { Context } from './context.ts'
import { instants, minute } from './formatting.ts'
import { examples } from './user-commands.ts'

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
    .description('create an invite and print its link, which is shown only once')
    .option('--uses <number>', 'how many accounts may register with it', number(USES), 1)
    .option(
      '--expires <duration>',
      'how long it is valid: 12h, 7d, or never',
      number(EXPIRES),
      EXPIRES.parse(EXPIRES.defaultText),
    )
    .option('--note <text>', 'a note for you, shown by "invite list"', note)
    .option('--url <url>', 'the address of the page for people; default: where this server listens', pageUrl)
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
    .description('list all invites except revoked ones; codes are not stored')
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
    .description('make an invite invalid; accounts that registered with it stay')
    .argument('<id>', 'the ID that "restante invite list" shows', number(ID))
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
  if (!link)
    context.say('This is the code only: the server has no page, or no fixed port. For a link, use --url.')
  else if (!url)
    context.say(
      'The link points to where the server listens. For another address: --url https://chat.example',
    )
  if (context.load().config.registration === 'closed')
    context.say('REGISTRATION is closed in these settings, so nobody can use an invite.')
}

/** The URL of the page with these settings. */
function pageOf(config: Config): string | undefined {
  return config.port === 0
    ? undefined
    : startNotice(config, version(), config.port, networkInterfaces()).page?.[0]
}

/** Has commander parse an option like a setting. */
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

const inviteJson = ({ id, note, uses, used, createdAtMs, expiresAtMs }: Invite) => ({
  id,
  ...(note !== undefined && { note }),
  uses,
  used,
  ...instants({ createdAt: createdAtMs, expiresAt: expiresAtMs }),
})

function inviteRow({ id, note, uses, used, createdAtMs, expiresAtMs }: Invite, nowMs: number): string[] {
  const state = used >= uses ? 'used up' : (expiresAtMs ?? Infinity) <= nowMs ? 'expired' : 'valid'
  return [
    String(id),
    state,
    `${used} of ${uses}`,
    minute(expiresAtMs, 'never'),
    minute(createdAtMs),
    note ?? '',
  ]
}
