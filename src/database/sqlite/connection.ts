import SqliteFile from 'better-sqlite3'

/**
 * How long to wait for somebody else's lock, a backup tool's for example. The wait holds up the whole store,
 * so it is short: a request that meets a longer lock is told to come back.
 */
const BUSY_TIMEOUT_MS = 500

/**
 * Said on every connection, because none of it is kept in the file. `synchronous=FULL` makes a commit wait
 * for the sync of the write-ahead log; the builds that better-sqlite3 ships default to NORMAL there, which
 * loses the last commits with the power (sqlite.org/pragma.html#pragma_synchronous). Checkpoints are made
 * beside the commits: checkpoints.ts.
 */
export const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 0;
  PRAGMA foreign_keys = ON;
  PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
`

/**
 * SQLite's own 2 MiB hold few of the pages that inboxes of many people are on. More than this showed no gain
 * to sends, and is not free: a split of a page in the midst of an index borrows the number of the page at
 * 1 GiB, and the end of such a commit looks through the whole cache for pages behind the end of the file
 * (balance_nonroot and pcache1Truncate in sqlite3.c). What is not here is in the kernel's cache.
 */
const CACHE_KIB = 32_768

/** A connection for statements that run in one go. */
export function openStatements(path: string): SqliteFile.Database {
  const connection = new SqliteFile(path)
  connection.exec(PRAGMAS)
  connection.pragma(`cache_size = -${CACHE_KIB}`)
  return connection
}
