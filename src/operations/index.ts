import type { Accounts } from '../accounts/accounts.ts'
import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Blocks } from '../accounts/blocks.ts'
import type { KnownAddresses } from '../accounts/known-addresses.ts'
import type { OwnSessions } from '../accounts/own-sessions.ts'
import type { Registrations } from '../accounts/registrations.ts'
import type { Sessions } from '../accounts/sessions.ts'
import type { Handlers } from '../contract/handler.ts'
import type { Database } from '../database/database.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { AccountLimits } from '../limits/account-limits.ts'
import type { DiskSpace } from '../limits/disk-space.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Presence } from '../presence.ts'
import type { Subscriptions } from '../push/subscriptions.ts'
import { acknowledge } from './acknowledge.ts'
import { block } from './block.ts'
import { changePassword } from './changePassword.ts'
import { createPushSubscription } from './createPushSubscription.ts'
import { createToken } from './createToken.ts'
import { deleteAccount } from './deleteAccount.ts'
import { deletePushSubscription } from './deletePushSubscription.ts'
import { endSession } from './endSession.ts'
import { getHealth } from './getHealth.ts'
import { getMe } from './getMe.ts'
import { getMessageStatus } from './getMessageStatus.ts'
import { getPush } from './getPush.ts'
import { getReadiness } from './getReadiness.ts'
import { getUser } from './getUser.ts'
import { listBlocks } from './listBlocks.ts'
import { listPushSubscriptions } from './listPushSubscriptions.ts'
import { listSessions } from './listSessions.ts'
import { listTokens } from './listTokens.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { readInbox } from './readInbox.ts'
import { register } from './register.ts'
import { renewToken } from './renewToken.ts'
import { revokeToken } from './revokeToken.ts'
import { sendFrom } from './send-shared.ts'
import { sendMessage } from './sendMessage.ts'
import { sendText } from './sendText.ts'
import { unblock } from './unblock.ts'
import { updateMe } from './updateMe.ts'

/** The services that the operations call. */
export interface Services {
  accounts: Accounts
  registrations: Registrations
  knownAddresses: KnownAddresses
  blocks: Blocks
  /** Undefined on PostgreSQL, and with `DISK_FREE_MIN=0`. */
  disk: DiskSpace | undefined
  sessions: Sessions
  ownSessions: OwnSessions
  applicationTokens: ApplicationTokens
  subscriptions: Subscriptions
  inbox: Inbox
  presence: Presence
  limits: RateLimits
  accountLimits: AccountLimits
  database: Database
  version: string
}

/** Makes the handlers, each with the services that it uses. */
export const handlers = ({
  accounts,
  registrations,
  knownAddresses,
  blocks,
  disk,
  sessions,
  ownSessions,
  applicationTokens,
  subscriptions,
  inbox,
  presence,
  limits,
  accountLimits,
  database,
  version,
}: Services): Handlers => {
  const send = sendFrom(inbox, limits, disk)
  return {
    register: register(registrations),
    login: login(accounts, sessions, inbox, knownAddresses, accountLimits),
    renewToken: renewToken(sessions, limits),
    logout: logout(sessions, inbox),
    sendMessage: sendMessage(send),
    sendText: sendText(send),
    getMessageStatus: getMessageStatus(inbox, limits),
    readInbox: readInbox(inbox),
    acknowledge: acknowledge(inbox, limits),
    getUser: getUser(accounts, blocks, inbox, presence, limits),
    getMe: getMe(accounts, limits),
    updateMe: updateMe(accounts, limits),
    listSessions: listSessions(ownSessions, limits),
    endSession: endSession(ownSessions, inbox, limits),
    changePassword: changePassword(accounts, accountLimits),
    deleteAccount: deleteAccount(accounts, accountLimits),
    createToken: createToken(applicationTokens, limits),
    listTokens: listTokens(applicationTokens, limits),
    revokeToken: revokeToken(applicationTokens, limits),
    getPush: getPush(subscriptions, limits),
    createPushSubscription: createPushSubscription(subscriptions, limits),
    listPushSubscriptions: listPushSubscriptions(subscriptions, limits),
    deletePushSubscription: deletePushSubscription(subscriptions, limits),
    listBlocks: listBlocks(blocks, limits),
    block: block(blocks, limits),
    unblock: unblock(blocks, limits),
    getHealth: getHealth(version),
    getReadiness: getReadiness(database),
  }
}
