/**
 * Concurrent sends with the same idempotency key. A batch contains each key once; the others get the outcome
 * of the first when that is in the store.
 */
import type { Append, AppendOutcome } from '../database/database.ts'

export interface WaitingAppend {
  append: Append
  resolve: (outcome: AppendOutcome) => void
  reject: (error: unknown) => void
}

/** Separates appends whose sender and key came before. */
export function apart(waiting: WaitingAppend[]): { appends: WaitingAppend[]; repeats: WaitingAppend[] } {
  const seen = new Set<string>()
  const repeats: WaitingAppend[] = []
  const appends = waiting.filter((each) => {
    const key = keyOf(each.append)
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
  written: { append: Append; outcome: AppendOutcome }[],
  repeats: WaitingAppend[],
): WaitingAppend[] {
  const firsts = new Map(written.map((first) => [keyOf(first.append), first]))
  return repeats.filter(({ append, resolve }) => {
    const first = firsts.get(keyOf(append))
    const outcome = first && outcomeBehind(first, append)
    if (outcome) resolve(outcome)
    return !outcome
  })
}

function outcomeBehind(
  { append: first, outcome }: { append: Append; outcome: AppendOutcome },
  repeat: Append,
): AppendOutcome | undefined {
  if (outcome.kind !== 'appended' && outcome.kind !== 'replayed') return undefined
  if (!isSame(first, repeat)) return { kind: 'idempotency_key_reused' }
  if (outcome.kind === 'replayed') return outcome
  return { kind: 'replayed', id: first.id, sentAtMs: first.sentAtMs, live: outcome.live }
}

const keyOf = ({ senderId, idempotency }: Append) => idempotency && `${senderId} ${idempotency.key}`

const isSame = (one: Append, other: Append) =>
  Buffer.compare(
    one.idempotency?.fingerprint ?? new Uint8Array(),
    other.idempotency?.fingerprint ?? new Uint8Array(),
  ) === 0
