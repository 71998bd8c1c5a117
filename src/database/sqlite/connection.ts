import SqliteFile from 'better-sqlite3'

/**
 * How long to wait for a foreign lock, a backup tool's for example. The wait blocks the whole store, so it is
 * short: with a longer lock, requests get 503.
 */
const BUSY_TIMEOUT_MS = 500

/**
 * Set on every connection, because the file keeps none of it. `synchronous=FULL` makes a commit wait for the
 * sync of the write-ahead log; the builds that better-sqlite3 ships default to NORMAL there, which loses the
 * last commits at a power cut (sqlite.org/pragma.html#pragma_synchronous). Checkpoints are made outside the
 * commits: checkpoints.ts.
 */
export const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 0;
  PRAGMA foreign_keys = ON;
  PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
`

/**
 * SQLite's default of 2 MiB holds few of the pages of many inboxes. More than this gained nothing for sends,
 * and is not free: splitting a page inside an index borrows the page number at 1 GiB, and the end of such a
 * commit searches the whole cache for pages beyond the end of the file (balance_nonroot and pcache1Truncate
 * in sqlite3.c). Other pages are in the kernel's cache.
 */
const CACHE_KIB = 32_768

/** A connection for synchronous statements. */
export function openStatements(path: string): SqliteFile.Database {
  const connection = new SqliteFile(path)
  connection.exec(PRAGMAS)
  connection.pragma(`cache_size = -${CACHE_KIB}`)
  return connection
}

/** The names of its tables. */
export const tablesOf = (file: SqliteFile.Database): string[] =>
  file.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()
