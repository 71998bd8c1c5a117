/** SQLite's write-ahead log is written back beside the commits, and stays bounded. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import SqliteFile from 'better-sqlite3'
import { checkpointsBeside, openStatements, writeBack } from './support/built.ts'
import { scratchFolder } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'

/** How much is written back at a time. */
const PAGES_WORTH = 1_000

/** The size from which the log is restarted, and how much it may grow until this is done. */
const LOG_PAGES_MAX = 16_000
const PAGES_BEYOND = 8_000

/** The smallest page size, so that many pages are written quickly. */
const PAGE_BYTES = 512
const PAGES_A_COMMIT = 80

describe('checkpoints', () => {
  it('write the log back outside the commits', async (t) => {
    const { write, log } = open(t)
    const before = log()
    assert.deepEqual(before, { pages: before.pages, writtenBack: 0 })

    await write(2_000)

    await eventually('it is written back', () => log().writtenBack >= 1_000)
  })

  it('keep the log bounded while commits follow each other without a pause', async (t) => {
    const { write, log } = open(t)
    let longest = 0
    for (let round = 0; round < 4 * (LOG_PAGES_MAX / PAGES_A_COMMIT); round += 1) {
      await write(PAGES_A_COMMIT)
      longest = Math.max(longest, log().pages)
    }

    assert.ok(longest < LOG_PAGES_MAX + PAGES_BEYOND, `${longest} pages`)
  })

  it('restart the log soon when commits are no faster than a disk', async (t) => {
    const { count, log } = open(t)
    let [anew, pagesBefore] = [0, 0]
    while (anew < 2) {
      await count()
      const { pages } = log()
      if (pages < pagesBefore) anew += 1
      pagesBefore = pages

      assert.ok(pages < 4 * PAGES_WORTH, `${pages} pages`)
    }
  })

  it('leave pages that a reader still uses, and continue later', async (t) => {
    const { path, write, log } = open(t)
    const reader = new SqliteFile(path, { readonly: true })
    atTheEnd(t, () => reader.close())
    const read = () => reader.prepare('SELECT count(*) FROM number').pluck().get()
    reader.exec('BEGIN')
    const seen = read()

    await write(4_000)
    assert.equal(read(), seen)
    assert.ok(log().writtenBack < 1_000)
    reader.exec('COMMIT')

    assert.notEqual(read(), seen)
    await write(2_000)
    await eventually('it is written back', () => log().writtenBack >= 4_000 || log().pages < 4_000)
  })

  it('end after the running one', async (t) => {
    const { path, write, close } = open(t)
    await write(4_000)

    await close()

    assert.ok(!existsSync(`${path}-wal`), 'Who closes last writes back what is left.')
    assert.equal(new SqliteFile(path).pragma('integrity_check', { simple: true }), 'ok')
  })

  it('that are impossible now are made later; other faults are reported', () => {
    const failing = (code: string) =>
      ({
        pragma: () => {
          throw Object.assign(new Error(code), { code })
        },
      }) as unknown as SqliteFile.Database

    for (const code of ['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_BUSY']) writeBack(failing(code))
    assert.throws(() => writeBack(failing('SQLITE_CORRUPT')), { code: 'SQLITE_CORRUPT' })
  })

  it('are made by a SQLite version that makes them safely beside commits', () => {
    const version = new SqliteFile(':memory:').prepare('SELECT sqlite_version()').pluck().get() as string
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)

    // Before, a log that began anew at that moment could be taken for written back: sqlite.org/wal.html, "The
    // WAL-reset bug".
    assert.ok(major * 1e6 + minor * 1e3 + patch >= 3_051_003, version)
  })
})

/** A database whose only table is rewritten repeatedly. */
function open(t: TestContext) {
  const path = join(scratchFolder(t), 'log.db')
  const made = new SqliteFile(path)
  made.pragma(`page_size = ${PAGE_BYTES}`)
  made.exec('CREATE TABLE number (number INTEGER PRIMARY KEY); CREATE TABLE filler (bytes BLOB)')
  made.exec(`INSERT INTO filler VALUES (zeroblob(${PAGES_A_COMMIT * PAGE_BYTES}))`)
  made.close()

  const connection = openStatements(path)
  const checkpoints = checkpointsBeside(connection, path)
  const close = async () => {
    if (!connection.open) return
    await checkpoints.close()
    connection.close()
  }
  atTheEnd(t, close)

  const state = connection.prepare<[], { log: number; checkpointed: number }>('PRAGMA wal_checkpoint(NOOP)')
  const fill = connection.transaction(() => {
    connection.exec('INSERT INTO number DEFAULT VALUES')
    connection.exec(`UPDATE filler SET bytes = randomblob(${PAGES_A_COMMIT * PAGE_BYTES})`)
  })
  return {
    path,
    close,
    log: () => {
      const { log: pages, checkpointed: writtenBack } = state.get() ?? { log: 0, checkpointed: 0 }
      return { pages, writtenBack }
    },
    /** A commit of a page or two, and its sync. */
    count: async () => {
      connection.exec('INSERT INTO number DEFAULT VALUES')
      checkpoints.startIfDue()
      await turn()
    },
    write: async (pages: number) => {
      for (let written = 0; written < pages; written += PAGES_A_COMMIT) {
        fill()
        checkpoints.startIfDue()
        await turn()
      }
    },
  }
}
