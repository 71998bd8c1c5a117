import type { Administration } from '../accounts/administration.ts'
import type { InviteRules, Invites } from '../accounts/invites.ts'
import type { ListedAccount } from '../database/database.ts'

/** What the operator's commands are made of. */
export interface OperatorParts {
  administration: Administration
  invites: Invites
}

/** What a running server says of itself. */
export interface ServerState {
  version: string
  /** Where its page is, from this machine; undefined when it has none, and before it listens. */
  page: string | undefined
}

type NewAccount = Parameters<Administration['add']>[0]

/**
 * What commands do, with a running server or without: plain data in and out, which goes over a socket.
 *
 * @param state undefined without a server
 */
export const operatorVerbs = (
  { administration, invites }: OperatorParts,
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

/** The operator's side of a server, or of a database without one. */
export interface Operator {
  /** @throws Problem, or Refused over the socket */
  call<V extends VerbName>(verb: V, ...args: Parameters<OperatorVerbs[V]>): Promise<Result<V>>
  /** All accounts, however many. */
  accounts(): AsyncIterable<ListedAccount>
}
