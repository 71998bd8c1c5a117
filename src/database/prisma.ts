import type { Prisma } from '../generated/prisma/client.ts'

/** The models, outside and inside of a transaction. */
export type Models = Omit<Prisma.TransactionClient, `$${string}`>

/**
 * What the verbs use of Prisma's clients: the models, but no SQL. Each database has a client of its own,
 * generated from the same models.
 */
export interface PrismaDatabase extends Models {
  $transaction<Result>(run: (tx: Models) => Promise<Result>): Promise<Result>
}
