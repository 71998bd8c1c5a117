import { readFileSync } from 'node:fs'

/** Reserved for files other than client connections. An idle server has 23 open. */
const RESERVED = 64

/**
 * How many connections the limit of open files allows. Node has raised it as far as the system permits.
 *
 * @returns infinity if unknown
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
