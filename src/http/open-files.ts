import { readFileSync } from 'node:fs'

/**
 * Reserved for everything but client connections: the database, its log, sockets. An idle server has 23 open.
 */
const RESERVED = 64

/**
 * How many connections fit within the files that this process may open. Node raises that limit as far as the
 * system allows.
 *
 * @returns infinity where it cannot be known
 */
export function connectionsThatFit(): number {
  let limits: string
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    // Only Linux has this file.
    return Number.POSITIVE_INFINITY
  }
  const [, openFiles] = /^Max open files +(\d+)/m.exec(limits) ?? []
  return openFiles === undefined ? Number.POSITIVE_INFINITY : Math.max(Number(openFiles) - RESERVED, 1)
}
