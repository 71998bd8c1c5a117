import type { Config } from './config.ts'
import type { HintSender, HintSenderSettings } from './push/hint-sender.ts'
import type { HintsTimes } from './push/hints.ts'
import type { Vapid } from './push/vapid.ts'
import type { PushLog } from './push/warnings.ts'
import { readKeyPairs, vapidFile } from './secrets.ts'

/** For tests: how to reach push services. */
export type PushOptions = Pick<HintSenderSettings, 'resolve' | 'ca' | 'times'> & { hintTimes?: HintsTimes }

/**
 * Makes the sender of push hints. Its libraries are loaded only if push is on.
 *
 * @returns undefined when push is off
 * @throws ConfigurationError, UnsafeFile
 */
export async function openPush(
  { push, pushSubject, pushAllowPrivate, databaseUrl }: Config,
  env: Readonly<Record<string, string | undefined>>,
  log: PushLog,
  { hintTimes, ...settings }: PushOptions = {},
): Promise<{ keys: Vapid; sender: HintSender; hintTimes: HintsTimes | undefined } | undefined> {
  if (push === 'off' || pushSubject === false) return undefined
  const pairs = readKeyPairs(env, vapidFile(databaseUrl), (message) => log.warn(message))
  const [{ Vapid }, { HintSender }] = await Promise.all([
    import('./push/vapid.ts'),
    import('./push/hint-sender.ts'),
  ])
  const keys = new Vapid(pairs, pushSubject)
  const sender = new HintSender({ ...settings, vapid: keys, log, allowPrivate: pushAllowPrivate === 'on' })
  return { keys, sender, hintTimes }
}
