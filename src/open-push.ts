import type { Config } from './config.ts'
import type { HintsTimes } from './push/hints.ts'
import type { PushLog } from './push/notices.ts'
import type { Services, ServicesSettings } from './push/services.ts'
import type { Vapid } from './push/vapid.ts'
import { readKeyPairs, vapidFile } from './secrets.ts'

/** For tests: how push services are reached. */
export type PushWay = Pick<ServicesSettings, 'resolve' | 'ca' | 'times'> & { hintTimes?: HintsTimes }

/**
 * What sends hints to push services. Its libraries are loaded only where push is on.
 *
 * @returns undefined when push is off
 * @throws ConfigurationError, UnsafeFile
 */
export async function openPush(
  { push, pushSubject, pushAllowPrivate, databaseUrl }: Config,
  env: Readonly<Record<string, string | undefined>>,
  log: PushLog,
  { hintTimes, ...way }: PushWay = {},
): Promise<{ keys: Vapid; services: Services; hintTimes: HintsTimes | undefined } | undefined> {
  if (push === 'off' || pushSubject === false) return undefined
  const pairs = readKeyPairs(env, vapidFile(databaseUrl), (message) => log.warn(message))
  const [{ Vapid }, { Services }] = await Promise.all([
    import('./push/vapid.ts'),
    import('./push/services.ts'),
  ])
  const keys = new Vapid(pairs, pushSubject)
  const services = new Services({ ...way, vapid: keys, log, allowPrivate: pushAllowPrivate === 'on' })
  return { keys, services, hintTimes }
}
