import { Prisma } from '../generated/prisma/client.ts'
import type { ClientKeys, Database, NewPushSubscription, SubscriptionOutcome } from './database.ts'
import { lockAccount, type Models, type PrismaDatabase } from './prisma.ts'

/** Push subscriptions that one account may have. */
const SUBSCRIPTIONS_MAX = 10

/** Another account registers the same endpoint at the same moment, or the session ends. */
const RETRYABLE = ['P2002', 'P2003', 'P2025', 'P2034']

/** The verbs by which owners change push subscriptions, with Prisma. */
export function pushSubscriptionWrites(prisma: PrismaDatabase) {
  return {
    async createPushSubscription(subscription: NewPushSubscription): Promise<SubscriptionOutcome> {
      try {
        return await prisma.$transaction((tx) => register(tx, subscription))
      } catch (error) {
        if (!isRetryable(error)) throw error
        return prisma.$transaction((tx) => register(tx, subscription))
      }
    },

    async deletePushSubscription(accountId: number, id: string): Promise<boolean> {
      const { count } = await prisma.pushSubscription.deleteMany({ where: { accountId, id } })
      return count === 1
    },

    async forgetPushSubscription(id: string): Promise<void> {
      await prisma.pushSubscription.deleteMany({ where: { id } })
    },
  } satisfies Partial<Database>
}

const NO_MARK = { hintedSeq: null, hintedUntil: null, claim: null }

async function register(
  tx: Models,
  { accountId, sessionId, createdAtMs, keyIds, ...keys }: NewPushSubscription,
): Promise<SubscriptionOutcome> {
  if (!(await lockAccount(tx, { id: accountId, disabledAt: null }))) return 'session_gone'
  if ((await tx.session.count({ where: { id: sessionId, accountId } })) === 0) return 'session_gone'
  const known = await tx.pushSubscription.findUnique({ where: { endpoint: keys.endpoint } })
  const isSame = known !== null && known.p256dh === keys.p256dh && known.auth === keys.auth
  if (known && !isSame && known.accountId !== accountId) return 'endpoint_taken'
  const others = { accountId, endpoint: { not: keys.endpoint } }
  if ((await tx.pushSubscription.count({ where: others })) >= SUBSCRIPTIONS_MAX)
    return 'too_many_subscriptions'

  const now = new Date(createdAtMs)
  const { id, endpoint, createdAt } = known
    ? await tx.pushSubscription.update({
        where: { id: known.id },
        data: {
          accountId,
          sessionId,
          usedAt: now,
          // For another key a browser gives another endpoint, and a distributor may give the same again.
          keyId: isSame && keyIds.includes(known.keyId) ? known.keyId : keyIds[0],
          ...(!isSame && { ...keysOf(keys), createdAt: now }),
          // The hint went to its former session, or to a browser with other keys.
          ...((!isSame || known.sessionId !== sessionId) && NO_MARK),
        },
      })
    : await tx.pushSubscription.create({
        data: { ...keys, keyId: keyIds[0], accountId, sessionId, createdAt: now, usedAt: now },
      })
  return { id, endpoint, createdAtMs: createdAt.getTime() }
}

const keysOf = ({ endpoint, p256dh, auth }: ClientKeys) => ({ endpoint, p256dh, auth })

const isRetryable = (error: unknown) =>
  error instanceof Prisma.PrismaClientKnownRequestError && RETRYABLE.includes(error.code)
