import { readFileSync } from 'node:fs'

/** For what is no connection of a client: the database, its log, other connections. An idle server has 23. */
const RESERVED = 64

/**
 * How many connections fit within the files that this process may open. Node raises that limit as far as the
 * system lets it.
 *
 * @returns infinity where it cannot be known
 */
export function connectionsThatFit(): number {
  let limits: string
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    // Linux alone has this file.
    return Number.POSITIVE_INFINITY
  }
  const [, openFiles] = /^Max open files +(\d+)/m.exec(limits) ?? []
  return openFiles === undefined ? Number.POSITIVE_INFINITY : Math.max(Number(openFiles) - RESERVED, 1)
}
