/**
 * Goes into the built server by NODE_OPTIONS=--import: when one of its SQLite connections is closed, writes
 * down what that connection was set to. Only the connection itself knows, and it is out of reach in a thread
 * of the process.
 */
import { appendFileSync } from 'node:fs'
import SqliteFile from 'better-sqlite3'

const { close } = SqliteFile.prototype

SqliteFile.prototype.close = function () {
  // One that only reads commits nothing.
  if (this.open && !this.readonly) {
    // As text: the ORM has its connection give numbers as BigInts.
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
