import { endSessions } from './account-writes.ts'
import type { Database, NewInvite } from './database.ts'
import type { PrismaDatabase } from './prisma.ts'

/** The verbs by which an operator changes accounts and invites, with Prisma. */
export function administrationWrites(prisma: PrismaDatabase) {
  return {
    disableAccount(accountId: number, disabledAtMs: number): Promise<string[] | undefined> {
      return prisma.$transaction(async (tx) => {
        const where = { id: accountId, deletedAt: null }
        const { count } = await tx.account.updateMany({ where, data: { disabledAt: new Date(disabledAtMs) } })
        if (count === 0) return undefined
        const tokens = await tx.applicationToken.findMany({ where: { accountId }, select: { id: true } })
        return [...(await endSessions(tx, { accountId })), ...tokens.map(({ id }) => id)]
      })
    },

    async enableAccount(accountId: number): Promise<boolean> {
      const where = { id: accountId, deletedAt: null }
      const { count } = await prisma.account.updateMany({ where, data: { disabledAt: null } })
      return count === 1
    },

    async createInvite({ hash, note, uses, createdAtMs, expiresAtMs }: NewInvite): Promise<number> {
      const data = {
        hash: Uint8Array.from(hash),
        note: note ?? null,
        uses,
        createdAt: new Date(createdAtMs),
        expiresAt: expiresAtMs === undefined ? null : new Date(expiresAtMs),
      }
      return (await prisma.invite.create({ data })).id
    },

    async revokeInvite(id: number): Promise<boolean> {
      const { count } = await prisma.invite.deleteMany({ where: { id } })
      return count === 1
    },
  } satisfies Partial<Database>
}
