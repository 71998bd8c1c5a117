import { judge, type Verdict } from './answers.ts'
import type { Hint } from './hint.ts'
import { AddressRefused } from './lookup.ts'
import { encryptHint } from './message.ts'
import type { WayOut } from './request.ts'
import type { Vapid } from './vapid.ts'

/** What has come of an attempt, and what the service said to it, for the log. */
export type Outcome = Verdict & { reason: string }

/** Of what a service says. */
const REASON_LENGTH_MAX = 200

/** Sends a hint to a push service once. Whatever goes wrong is an outcome. */
export async function attempt(
  wayOut: WayOut,
  vapid: Vapid,
  { target, url, key, newest }: Pick<Hint, 'target' | 'url' | 'key' | 'newest'>,
): Promise<Outcome> {
  let message: ReturnType<typeof encryptHint>
  try {
    message = encryptHint(target, newest)
  } catch (error) {
    // Its keys are none, so nobody will ever read a hint.
    return { kind: 'gone', reason: reasonOf(error) }
  }
  try {
    const Authorization = vapid.authorization(url.origin, key)
    const { status, headers, body } = await wayOut.post(
      url,
      { ...message.headers, Authorization },
      message.body,
    )
    const said = body.replaceAll(/\s+/g, ' ').trim().slice(0, REASON_LENGTH_MAX)
    return { ...judge(status, headers, Date.now()), reason: [status, said].filter(Boolean).join(' ') }
  } catch (error) {
    const reason = reasonOf(error)
    return error instanceof AddressRefused
      ? { kind: 'inward', reason }
      : { kind: 'unavailable', waitMs: undefined, reason }
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
