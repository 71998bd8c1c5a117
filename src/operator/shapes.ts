/** What commands show of an account or an invite, for scripts and for people. */
import type { ShownAccount } from '../accounts/administration.ts'
import type { Invite, ListedAccount } from '../database/database.ts'
import { instant, minute } from './output.ts'

/** Members of which something is known. */
const known = (instants: Record<string, number | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(instants).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, instant(ms)]])),
  )

export const accountJson = ({
  inbox,
  ...account
}: Omit<ListedAccount, 'sessions'> & { sessions?: unknown }) => ({
  username: account.username,
  displayName: account.displayName,
  ...known({
    createdAt: account.createdAtMs,
    lastSeenAt: account.lastSeenAtMs,
    lastLoginAt: account.lastLoginAtMs,
    disabledAt: account.disabledAtMs,
  }),
  sessions: account.sessions,
  inbox,
  stored: account.stored,
})

export const shownJson = ({ sessions, tokens, ...account }: ShownAccount) => ({
  ...accountJson(account),
  online: account.online,
  blocks: account.blocks,
  pushSubscriptions: account.subscriptions,
  sessions: sessions.map(({ id, label, createdAtMs, lastSeenAtMs, expiresAtMs }) => ({
    id,
    ...(label !== undefined && { label }),
    ...known({ createdAt: createdAtMs, lastSeenAt: lastSeenAtMs, expiresAt: expiresAtMs }),
  })),
  tokens: tokens.map(({ id, name, createdAtMs, lastUsedAtMs, expiresAtMs }) => ({
    id,
    name,
    ...known({ createdAt: createdAtMs, lastUsedAt: lastUsedAtMs, expiresAt: expiresAtMs }),
  })),
})

/** Three tables, without those that are empty. */
export function shownRows({ sessions, tokens, ...account }: ShownAccount): string[][][] {
  const { inbox } = account
  const facts = [
    ['Username', account.username],
    ['Name', account.displayName],
    [
      'State',
      account.disabledAtMs === undefined ? 'enabled' : `disabled since ${minute(account.disabledAtMs)}`,
    ],
    ['Online', account.online ? 'yes' : 'no'],
    ['Last seen', minute(account.lastSeenAtMs)],
    ['Last login', minute(account.lastLoginAtMs)],
    ['Created', minute(account.createdAtMs)],
    ['Inbox', `${inbox.unread} unread, newest ${inbox.newest}, acknowledged ${inbox.acknowledged}`],
    ['Stored', String(account.stored)],
    ['Blocks', String(account.blocks)],
    ['Push', `${account.subscriptions} subscriptions`],
  ]
  const sessionRows = sessions.map((session) => [
    session.label ?? '-',
    minute(session.lastSeenAtMs),
    minute(session.createdAtMs),
    minute(session.expiresAtMs),
  ])
  const tokenRows = tokens.map((token) => [
    token.name,
    minute(token.lastUsedAtMs),
    minute(token.createdAtMs),
    minute(token.expiresAtMs, 'never'),
  ])
  return [
    facts,
    ...(sessionRows.length > 0 ? [[[], ['SESSION', 'LAST SEEN', 'CREATED', 'EXPIRES'], ...sessionRows]] : []),
    ...(tokenRows.length > 0 ? [[[], ['TOKEN', 'LAST USED', 'CREATED', 'EXPIRES'], ...tokenRows]] : []),
  ]
}

export const inviteJson = ({ id, note, uses, used, createdAtMs, expiresAtMs }: Invite) => ({
  id,
  ...(note !== undefined && { note }),
  uses,
  used,
  ...known({ createdAt: createdAtMs, expiresAt: expiresAtMs }),
})

export function inviteRow(
  { id, note, uses, used, createdAtMs, expiresAtMs }: Invite,
  nowMs: number,
): string[] {
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
