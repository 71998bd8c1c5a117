/** The server remembers a key for 24 hours. A repeat after that would be a second message. */
export const REPEATS_MAX_MS = 23 * 3_600_000

export interface SendOptions {
  /** Whether to get a receipt into the own inbox when the message is received. */
  receipt?: boolean | undefined
  /** The name of this message for all attempts to send it. Keep it with the text, for after a crash. */
  idempotencyKey?: string | undefined
  /** Ends the repeats. The message may have been sent. */
  signal?: AbortSignal | undefined
}

/**
 * A name for a message, for `idempotencyKey`. Only pages from https have `crypto.randomUUID`, and React
 * Native has no `crypto`; a key need only differ from the other keys of its sender.
 */
export function newKey(): string {
  const bytes = new Uint8Array(16)
  if (globalThis.crypto) globalThis.crypto.getRandomValues(bytes)
  else for (const at of bytes.keys()) bytes[at] = Math.random() * 256
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
