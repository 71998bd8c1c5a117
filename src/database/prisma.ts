import type { Prisma } from '../generated/prisma/client.ts'

/** The models, outside and inside of a transaction. */
export type Models = Omit<Prisma.TransactionClient, `$${string}`>

/**
 * The part of Prisma's clients that the verbs use: the models, but no SQL. Each database has a client of its
 * own, generated from the same models.
 */
export interface PrismaDatabase extends Models {
  $transaction<Result>(run: (tx: Models) => Promise<Result>): Promise<Result>
}

/**
 * Locks the row of an account by an update without a change: of concurrent transactions on two nodes, the
 * second waits here for the first.
 *
 * @returns whether there is one that was not deleted
 */
export async function lockAccount(tx: Models, where: Prisma.AccountWhereInput): Promise<boolean> {
  const deletedAt = null
  const { count } = await tx.account.updateMany({ where: { ...where, deletedAt }, data: { deletedAt } })
  return count === 1
}
