import { Prisma } from '../generated/prisma/client.ts'
import type {
  AccountChanges,
  BlockOutcome,
  Database,
  KnownAddress,
  NewAccount,
  Owner,
  RegistrationOutcome,
  Session,
  VerifiedPassword,
} from './database.ts'
import { lockAccount, type Models, type PrismaDatabase } from './prisma.ts'
import { endTokens } from './token-writes.ts'

/** Accounts that one account may block. */
const BLOCKS_MAX = 1_000

/** Known addresses per account. Above it, the one with the oldest login is removed. */
const KNOWN_ADDRESSES_MAX = 20

/** The verbs that change accounts and sessions, with Prisma: none is on the path of a message. */
export function accountWrites(prisma: PrismaDatabase) {
  return {
    async createAccount(account: NewAccount, inviteHash?: Uint8Array): Promise<RegistrationOutcome> {
      try {
        if (!inviteHash) {
          await addAccount(prisma, account)
          return 'created'
        }
        return await prisma.$transaction(async (tx) => {
          if (!(await takeUse(tx, inviteHash, account.createdAtMs))) return 'invalid_invite'
          // When the name is taken, the rollback returns the use.
          await addAccount(tx, account)
          return 'created'
        })
      } catch (error) {
        const taken = error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002'
        if (taken) return 'username_taken'
        throw error
      }
    },

    changePassword(
      { id, passwordHash: checked }: VerifiedPassword,
      passwordHash: string,
      keptSessionId?: string,
    ) {
      return prisma.$transaction(async (tx) => {
        const where = { id, passwordHash: checked }
        const { count } = await tx.account.updateMany({ where, data: { passwordHash } })
        if (count === 0) return undefined
        const others = keptSessionId === undefined ? {} : { id: { not: keptSessionId } }
        return endSessions(tx, { accountId: id, ...others })
      })
    },

    deleteAccount({ id, passwordHash }: VerifiedPassword, deletedAtMs: number) {
      return prisma.$transaction(async (tx) => {
        // The row stays: its name is never given again, and sent messages keep their sender.
        const { count } = await tx.account.updateMany({
          where: { id, passwordHash },
          data: { deletedAt: new Date(deletedAtMs), passwordHash: null, displayName: '', lastSeenAt: null },
        })
        if (count === 0) return undefined
        await tx.knownAddress.deleteMany({ where: { accountId: id } })
        await tx.block.deleteMany({ where: { accountId: id } })
        return [...(await endTokens(tx, id)), ...(await endSessions(tx, { accountId: id }))]
      })
    },

    openSession(
      { id, passwordHash }: VerifiedPassword,
      { createdAtMs, expiresAtMs, label, ...session }: Session,
      sessionsMax: number,
      openedFrom?: KnownAddress,
    ) {
      return prisma.$transaction(async (tx) => {
        // Of concurrent logins on two nodes the second waits here for the first.
        const where = { id, passwordHash, disabledAt: null }
        const data = { lastLoginAt: new Date(createdAtMs) }
        const { count } = await tx.account.updateMany({ where, data })
        if (count === 0) return undefined
        const others = await tx.session.findMany({
          where: { accountId: session.accountId },
          orderBy: { createdAt: 'desc' },
          skip: sessionsMax - 1,
          select: { id: true },
        })
        const ended = await endSessions(tx, { id: { in: others.map(({ id }) => id) } })
        const dates = { createdAt: new Date(createdAtMs), expiresAt: new Date(expiresAtMs) }
        await tx.session.create({ data: { ...session, label: label ?? null, ...dates } })
        if (openedFrom) await rememberAddress(tx, session.accountId, openedFrom)
        return ended
      })
    },

    async extendSession(sessionId: string, expiresAtMs: number): Promise<boolean> {
      const { count } = await prisma.session.updateMany({
        where: { id: sessionId },
        data: { expiresAt: new Date(expiresAtMs) },
      })
      return count === 1
    },

    async endSession(sessionId: string): Promise<void> {
      await prisma.session.deleteMany({ where: { id: sessionId } })
    },

    block({ accountId }: Owner, username: string, createdAtMs: number): Promise<BlockOutcome> {
      return prisma.$transaction(async (tx) => {
        await lockAccount(tx, { id: accountId })
        const blocked = await tx.account.findUnique({ where: { username, deletedAt: null } })
        if (!blocked) return 'user_not_found'
        const key = { accountId, blockedId: blocked.id }
        if (await tx.block.findUnique({ where: { accountId_blockedId: key } })) return 'blocked'
        const count = await tx.block.count({ where: { accountId, blocked: { deletedAt: null } } })
        if (count >= BLOCKS_MAX) return 'too_many_blocks'
        await tx.block.create({ data: { ...key, createdAt: new Date(createdAtMs) } })
        return 'blocked'
      })
    },

    async updateAccount({ accountId }: Owner, { displayName, hidesPresence }: AccountChanges) {
      const { count } = await prisma.account.updateMany({
        where: { id: accountId, deletedAt: null },
        data: {
          ...(displayName !== undefined && { displayName }),
          ...(hidesPresence !== undefined && { hidesPresence }),
        },
      })
      return count === 1
    },

    async unblock({ accountId }: Owner, username: string): Promise<boolean> {
      const blocked = await prisma.account.findUnique({ where: { username, deletedAt: null } })
      if (!blocked) return false
      await prisma.block.deleteMany({ where: { accountId, blockedId: blocked.id } })
      return true
    },
  } satisfies Partial<Database>
}

/** @throws PrismaClientKnownRequestError P2002 when the name is taken */
async function addAccount(prisma: Models, { createdAtMs, ...account }: NewAccount): Promise<void> {
  const { floorSeq } = await prisma.store.findUniqueOrThrow({ where: { id: 1 } })
  const counters = { newestSeq: floorSeq, acknowledgedSeq: floorSeq }
  const skipped = floorSeq > 0 && { restoredRanges: { create: { fromSeq: 1, toSeq: floorSeq } } }
  const createdAt = new Date(createdAtMs)
  await prisma.account.create({ data: { ...account, createdAt, ...counters, ...skipped } })
}

/**
 * Counts one more use of a valid invite. Of two concurrent ones for the last use, the second waits and finds
 * none.
 */
async function takeUse(tx: Models, hash: Uint8Array, nowMs: number): Promise<boolean> {
  const { count } = await tx.invite.updateMany({
    where: {
      hash: Uint8Array.from(hash),
      used: { lt: tx.invite.fields.uses },
      OR: [{ expiresAt: null }, { expiresAt: { gt: new Date(nowMs) } }],
    },
    data: { used: { increment: 1 } },
  })
  return count === 1
}

/**
 * Ends sessions inside a transaction and returns their ids: their tokens are dropped, and their polls
 * answered.
 */
export async function endSessions(tx: Models, where: Prisma.SessionWhereInput): Promise<string[]> {
  const ended = await tx.session.findMany({ where, select: { id: true } })
  await tx.session.deleteMany({ where })
  return ended.map(({ id }) => id)
}

async function rememberAddress(
  tx: Models,
  accountId: number,
  { address: hash, lastLoginAtMs }: KnownAddress,
) {
  const address = Uint8Array.from(hash)
  const lastLoginAt = new Date(lastLoginAtMs)
  await tx.knownAddress.upsert({
    where: { accountId_address: { accountId, address } },
    create: { accountId, address, lastLoginAt },
    update: { lastLoginAt },
  })
  const surplus = await tx.knownAddress.findMany({
    where: { accountId },
    orderBy: { lastLoginAt: 'desc' },
    skip: KNOWN_ADDRESSES_MAX,
    select: { address: true },
  })
  if (surplus.length === 0) return
  const addresses = surplus.map((known) => known.address)
  await tx.knownAddress.deleteMany({ where: { accountId, address: { in: addresses } } })
}
