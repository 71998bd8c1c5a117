import { statfs } from 'node:fs/promises'
import { overloaded } from '../problems.ts'

const CHECK_EVERY_MS = 1_000

/** Space does not come back by itself: an operator must free it. */
const RETRY_AFTER_SECONDS = 30

export interface DiskLog {
  warn: (fields: object, message: string) => void
  info: (message: string) => void
}

/** Refuses messages before the disk is full, so that there is room for what frees space. */
export class DiskSpace {
  /** Bytes; with fewer free, messages are refused. */
  readonly freeMin: number
  readonly #readFree: () => Promise<number>
  readonly #log: DiskLog
  #isShort = false
  #cannotRead = false
  #stopped = false
  #timer: NodeJS.Timeout | undefined

  /** How many bytes were free at the last check; undefined when it could never be read. */
  free: number | undefined

  /**
   * @param freeMin bytes; with fewer free, messages are refused
   * @param readFree gives the bytes that are free
   */
  constructor(freeMin: number, readFree: () => Promise<number>, log: DiskLog) {
    this.freeMin = freeMin
    this.#readFree = readFree
    this.#log = log
  }

  /** @throws Problem overloaded */
  refuseWhenShort(): void {
    if (this.#isShort) throw overloaded('The disk has no room for more messages.', RETRY_AFTER_SECONDS)
  }

  /** Checks now, and then once per second. */
  async watch(): Promise<void> {
    await this.refresh()
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.watch(), CHECK_EVERY_MS).unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Reads how much is free. If that fails, the last known value stays. */
  async refresh(): Promise<void> {
    try {
      const free = await this.#readFree()
      this.#note(free)
      this.#cannotRead = false
    } catch (error) {
      if (!this.#cannotRead) this.#log.warn({ err: error }, 'The free space of the disk cannot be read.')
      this.#cannotRead = true
    }
  }

  #note(free: number) {
    this.free = free
    const isShort = free < this.freeMin
    if (isShort && !this.#isShort)
      this.#log.warn({ free, freeMin: this.freeMin }, 'The disk is short of space: messages are refused.')
    if (!isShort && this.#isShort) this.#log.info('The disk has space again: messages are accepted.')
    this.#isShort = isShort
  }
}

/**
 * How much is free on the disk of a file for users that may write there.
 *
 * @returns bytes
 */
export async function freeSpace(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
