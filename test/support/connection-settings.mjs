/**
 * Loaded into the built server by NODE_OPTIONS=--import. When one of its SQLite connections is closed, writes
 * the settings of that connection to a file. Only the connection knows them, and it is in a thread of the
 * process.
 */
import { appendFileSync } from 'node:fs'
import SqliteFile from 'better-sqlite3'

const { close } = SqliteFile.prototype

SqliteFile.prototype.close = function () {
  // A reading connection commits nothing.
  if (this.open && !this.readonly) {
    // As text, because the ORM's connection returns numbers as BigInts.
    const ask = (pragma) => String(this.pragma(pragma, { simple: true }))
    const settings = {
      file: this.name,
      journalMode: ask('journal_mode'),
      synchronous: ask('synchronous'),
      foreignKeys: ask('foreign_keys'),
    }
    appendFileSync(process.env.CONNECTION_SETTINGS, `${JSON.stringify(settings)}\n`)
  }
  return close.call(this)
}
