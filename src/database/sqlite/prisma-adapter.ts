import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3'
import { PRAGMAS } from './connection.ts'

/** Prisma's adapter for the SQLite file. */
export class SqliteAdapter extends PrismaBetterSqlite3 {
  constructor(path: string) {
    // Instants as integers: half the bytes of ISO texts, and compared as numbers by our own statements.
    super({ url: path }, { timestampFormat: 'unixepoch-ms' })
  }

  override async connect() {
    const adapter = await super.connect()
    await adapter.executeScript(PRAGMAS)
    return adapter
  }
}
