import type { Database, NewApplicationToken, TokenOutcome } from './database.ts'
import { lockAccount, type Models, type PrismaDatabase } from './prisma.ts'

/** Application tokens that one account may have. */
const TOKENS_MAX = 100

/** The verbs that change application tokens, with Prisma. */
export function tokenWrites(prisma: PrismaDatabase) {
  return {
    createToken({ accountId, createdAtMs, expiresAtMs, hash, ...token }: NewApplicationToken) {
      return prisma.$transaction(async (tx): Promise<TokenOutcome> => {
        if (!(await lockAccount(tx, { id: accountId, disabledAt: null }))) return 'account_gone'
        const createdAt = new Date(createdAtMs)
        if (!(await hasRoom(tx, accountId, createdAt))) return 'too_many_tokens'
        const expiresAt = expiresAtMs === undefined ? null : new Date(expiresAtMs)
        const data = { accountId, createdAt, expiresAt, hash: Uint8Array.from(hash), ...token }
        await tx.applicationToken.create({ data })
        return 'created'
      })
    },

    async revokeToken(accountId: number, id: string): Promise<boolean> {
      const { count } = await prisma.applicationToken.deleteMany({ where: { accountId, id } })
      return count === 1
    },

    async noteTokenUse(id: string, atMs: number): Promise<void> {
      await prisma.applicationToken.updateMany({ where: { id }, data: { lastUsedAt: new Date(atMs) } })
    },
  } satisfies Partial<Database>
}

/** Expired tokens stay for their owner to see, and are removed when room is needed. */
async function hasRoom(tx: Models, accountId: number, now: Date): Promise<boolean> {
  const where = { accountId }
  const count = await tx.applicationToken.count({ where })
  if (count < TOKENS_MAX) return true
  const expired = await tx.applicationToken.deleteMany({ where: { ...where, expiresAt: { lte: now } } })
  return expired.count > 0
}

/** Ends all tokens of an account inside a transaction, and returns their ids. */
export async function endTokens(tx: Models, accountId: number): Promise<string[]> {
  const where = { accountId }
  const ended = await tx.applicationToken.findMany({ where, select: { id: true } })
  await tx.applicationToken.deleteMany({ where })
  return ended.map(({ id }) => id)
}
