import { existsSync, readFileSync } from 'node:fs'
import SqliteFile from 'better-sqlite3'

const HEAD_BYTES = 32
const FRAME_HEAD_BYTES = 24

/**
 * Counts transactions in the write-ahead log: the last frame of a transaction contains the number of pages of
 * the database, all others contain 0 (sqlite.org/fileformat2.html#the_write_ahead_log). This works while the
 * log has fewer than 1 000 pages: then it is written back and restarts.
 *
 * @returns a function that returns how many were committed since
 */
export function countCommits(file: string): () => number {
  const other = new SqliteFile(file)
  other.pragma('wal_checkpoint(TRUNCATE)')
  other.close()
  return () => commitsIn(`${file}-wal`)
}

function commitsIn(path: string): number {
  const log = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
  if (log.length < HEAD_BYTES) return 0
  const frameBytes = FRAME_HEAD_BYTES + log.readUInt32BE(8)
  let commits = 0
  for (let at = HEAD_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    if (log.readUInt32BE(at + 4) > 0) commits += 1
  }
  return commits
}
