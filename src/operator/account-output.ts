/** How `restante user` prints accounts: JSON for scripts, tables for people. */
import type { ShownAccount } from '../accounts/administration.ts'
import type { ListedAccount } from '../database/database.ts'
import { instants, minute } from './formatting.ts'

export const accountJson = ({
  inbox,
  ...account
}: Omit<ListedAccount, 'sessions'> & { sessions?: unknown }) => ({
  username: account.username,
  displayName: account.displayName,
  ...instants({
    createdAt: account.createdAtMs,
    lastSeenAt: account.lastSeenAtMs,
    lastLoginAt: account.lastLoginAtMs,
    disabledAt: account.disabledAtMs,
  }),
  sessions: account.sessions,
  inbox,
  stored: account.stored,
})

export const accountDetailsJson = ({ sessions, tokens, ...account }: ShownAccount) => ({
  ...accountJson(account),
  online: account.online,
  blocks: account.blocks,
  pushSubscriptions: account.subscriptions,
  sessions: sessions.map(({ id, label, createdAtMs, lastSeenAtMs, expiresAtMs }) => ({
    id,
    ...(label !== undefined && { label }),
    ...instants({ createdAt: createdAtMs, lastSeenAt: lastSeenAtMs, expiresAt: expiresAtMs }),
  })),
  tokens: tokens.map(({ id, name, createdAtMs, lastUsedAtMs, expiresAtMs }) => ({
    id,
    name,
    ...instants({ createdAt: createdAtMs, lastUsedAt: lastUsedAtMs, expiresAt: expiresAtMs }),
  })),
})

/** Tables of the account, its sessions and its tokens; empty ones are left out. */
export function accountDetailsTables({ sessions, tokens, ...account }: ShownAccount): string[][][] {
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
