/**
 * Concurrent sends with the same idempotency key. A batch contains each key once; the others get the outcome
 * of the first when that is in the store.
 */
import type { AppendOutcome, NewMessage } from '../database/database.ts'

export interface WaitingAppend {
  message: NewMessage
  resolve: (outcome: AppendOutcome) => void
  reject: (error: unknown) => void
}

/** Separates appends whose sender and key came before. */
export function separateRepeats(waiting: WaitingAppend[]): {
  appends: WaitingAppend[]
  repeats: WaitingAppend[]
} {
  const seen = new Set<string>()
  const repeats: WaitingAppend[] = []
  const appends = waiting.filter((each) => {
    const key = keyOf(each.message)
    if (key === undefined) return true
    if (!seen.has(key)) return seen.add(key)
    repeats.push(each)
    return false
  })
  return { appends, repeats }
}

/**
 * Answers the repeats whose first send was committed.
 *
 * @returns the repeats that the store must decide, because nothing was stored for the first
 */
export function answerRepeats(
  written: { message: NewMessage; outcome: AppendOutcome }[],
  repeats: WaitingAppend[],
): WaitingAppend[] {
  const firsts = new Map(written.map((first) => [keyOf(first.message), first]))
  return repeats.filter(({ message, resolve }) => {
    const first = firsts.get(keyOf(message))
    const outcome = first && outcomeOfRepeat(first, message)
    if (outcome) resolve(outcome)
    return !outcome
  })
}

function outcomeOfRepeat(
  { message: first, outcome }: { message: NewMessage; outcome: AppendOutcome },
  repeat: NewMessage,
): AppendOutcome | undefined {
  if (outcome.kind !== 'appended' && outcome.kind !== 'replayed') return undefined
  if (!isSame(first, repeat)) return { kind: 'idempotency_key_reused' }
  if (outcome.kind === 'replayed') return outcome
  return { kind: 'replayed', id: first.id, sentAtMs: first.sentAtMs, live: outcome.live }
}

const keyOf = ({ senderId, idempotency }: NewMessage) => idempotency && `${senderId} ${idempotency.key}`

const isSame = (one: NewMessage, other: NewMessage) =>
  Buffer.compare(
    one.idempotency?.fingerprint ?? new Uint8Array(),
    other.idempotency?.fingerprint ?? new Uint8Array(),
  ) === 0
