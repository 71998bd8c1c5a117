import type { PrismaClient } from '../generated/prisma/client.ts'
import { endSessions } from './account-verbs.ts'
import type { Database, NewInvite } from './database.ts'

type AdministrationVerbs = Pick<
  Database,
  'disableAccount' | 'enableAccount' | 'createInvite' | 'revokeInvite'
>

/** What an operator changes. */
export function administrationVerbs(prisma: PrismaClient): AdministrationVerbs {
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
  }
}
