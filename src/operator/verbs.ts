import type { Administration } from '../accounts/administration.ts'
import type { InviteRules, Invites } from '../accounts/invites.ts'
import type { ListedAccount } from '../database/database.ts'

/** The services behind the operator's commands. */
export interface OperatorServices {
  administration: Administration
  invites: Invites
}

/** The state of a running server, for commands. */
export interface ServerState {
  version: string
  /** The URL of its page, from this machine; undefined without a page, and before it listens. */
  page: string | undefined
}

type NewAccount = Parameters<Administration['add']>[0]

/**
 * The verbs of the commands, with or without a running server. Arguments and results are plain data, so they
 * can go over a socket.
 *
 * @param state returns null without a server
 */
export const operatorVerbs = (
  { administration, invites }: OperatorServices,
  state: () => ServerState | null,
) => ({
  state: async () => state(),
  showAccount: (username: string) => administration.show(username),
  addAccount: (account: NewAccount) => administration.add(account),
  setPassword: (username: string, password: string) => administration.setPassword(username, password),
  disableAccount: (username: string) => administration.disable(username),
  enableAccount: (username: string) => administration.enable(username),
  deleteAccount: (username: string) => administration.delete(username),
  stats: () => administration.stats(),
  createInvite: (rules: InviteRules) => invites.create(rules),
  listInvites: () => invites.list(),
  revokeInvite: (id: number) => invites.revoke(id),
})

export type OperatorVerbs = ReturnType<typeof operatorVerbs>
export type VerbName = keyof OperatorVerbs

export type Result<V extends VerbName> = Awaited<ReturnType<OperatorVerbs[V]>>

/** Calls the verbs, on a running server or directly on the database. */
export interface Operator {
  /** @throws Problem, or Refused over the socket */
  call<V extends VerbName>(verb: V, ...args: Parameters<OperatorVerbs[V]>): Promise<Result<V>>
  /** All accounts, however many. */
  accounts(): AsyncIterable<ListedAccount>
}
