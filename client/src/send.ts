/** The server remembers a key for 24 hours. A repeat after that would be a second message. */
export const REPEATS_MAX_MS = 23 * 3_600_000

export interface SendOptions {
  /** Whether to get a receipt in our inbox when the message is received. */
  receipt?: boolean | undefined
  /** Identifies the message across all attempts. Store it with the text, to repeat the send after a crash. */
  idempotencyKey?: string | undefined
  /** Stops the repeats. The message may have been sent. */
  signal?: AbortSignal | undefined
}

/**
 * A random `idempotencyKey`. Not from `crypto.randomUUID`, which exists only in pages from https. React
 * Native has no `crypto` at all, and a key need only differ from other keys of its sender.
 */
export function newKey(): string {
  const bytes = new Uint8Array(16)
  if (globalThis.crypto) globalThis.crypto.getRandomValues(bytes)
  else for (const at of bytes.keys()) bytes[at] = Math.random() * 256
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
