import { closeSync, openSync, readSync } from 'node:fs'

/**
 * Whether a database has, or had, a write-ahead log. A copy that VACUUM INTO made has none until a server
 * opens it (sqlite.org/fileformat2.html#file_format_version_numbers).
 */
export function isInWalMode(file: string): boolean {
  const header = Buffer.alloc(20)
  const opened = openSync(file, 'r')
  try {
    return readSync(opened, header) === header.length && header[18] === 2
  } finally {
    closeSync(opened)
  }
}
