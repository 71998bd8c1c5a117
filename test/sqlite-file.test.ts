/**
 * The SQLite file. A file that must not be served stops the start with a message, before anything is changed
 * in it. If a served file breaks, the server refuses requests and is not ready.
 */
import assert from 'node:assert/strict'
import fs, {
  chmodSync,
  closeSync,
  copyFileSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { lockDatabase } from '../src/database/sqlite/file/lock.ts'
import { describeEndedThreads } from './crash/ended-threads.ts'
import { openDatabase, readConfig } from './support/built.ts'
import { Client, newName, range } from './support/client.ts'
import { fileOf, newDatabase, scratchFolder } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { PROGRAM } from './support/program.ts'
import { mistakeOf, shareServer, spawnProgram, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const PAGE_BYTES = 4_096

// The lock that every start takes first; that it keeps out another process is in process.test.ts.
describe('a second lock is refused', () => {
  it('when both used a symbolic link to a file that did not exist', (t) => {
    const folder = scratchFolder(t)
    const [link, file] = [join(folder, 'link.db'), join(folder, 'file.db')]
    symlinkSync(file, link)
    hold(t, link)

    for (const path of [file, link])
      assert.throws(() => lockDatabase(path), /is in use by another Restante process/)
  })

  it('when one used a linked folder', (t) => {
    const folder = scratchFolder(t)
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), join(folder, 'linked'))
    hold(t, join(folder, 'linked', 'restante.db'))

    const path = join(folder, 'real', 'restante.db')
    assert.throws(() => lockDatabase(path), /is in use by another Restante process/)
  })

  it('when one used a hard link, and so is every lock until the link is removed', (t) => {
    const file = join(scratchFolder(t), 'restante.db')
    const link = `${file}.link`
    const first = hold(t, file)
    linkSync(file, link)

    assert.throws(() => lockDatabase(link), /has a second hard link/)
    first.release()
    assert.throws(() => lockDatabase(file), /has a second hard link/)
    rmSync(link)
    hold(t, file)
  })

  /** Locks a database until the end of the test. */
  function hold(t: TestContext, path: string) {
    const lock = lockDatabase(path)
    atTheEnd(t, lock.release)
    return lock
  }
})

it('a start completes a new file that a killed process had begun', async (t) => {
  const folder = scratchFolder(t)
  const [file, crashed] = [join(folder, 'restante.db'), join(folder, 'crashed.db')]
  const begun = new SqliteFile(file)
  // So little memory that uncommitted pages are written to the file, with a journal to undo them.
  begun.exec(
    'PRAGMA cache_size = 1; BEGIN; CREATE TABLE begun (text); CREATE INDEX begun_text ON begun (text)',
  )
  const insert = begun.prepare('INSERT INTO begun VALUES (?)')
  for (const number of range(1, 1_000)) insert.run(`${number} `.repeat(10))
  for (const suffix of ['', '-journal']) copyFileSync(file + suffix, crashed + suffix)
  begun.close()
  assert.ok(statSync(crashed).size > 0, 'It has begun to write the file.')

  const server = await startServer(t, {}, `file:${crashed}`)

  assert.equal((await new Client(server).register('ada')).status, 201)
})

describe('a start is refused, and the file stays as it was', () => {
  it('when the file is of another program', async (t) => {
    const file = join(scratchFolder(t), 'other.db')
    const other = new SqliteFile(file)
    other.exec('CREATE TABLE account (iban TEXT)')
    other.close()
    const before = readFileSync(file)

    assert.match(await mistakeIn(t, file), /cannot be opened: it is a database of another program\.$/)
    assert.deepEqual(readFileSync(file), before)
  })

  it('when a newer version has migrated the file', async (t) => {
    const database = await newDatabase(t)
    await withSql(database, ({ run }) =>
      run(
        `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count)
         VALUES ('1', '', 4102444800000, '21000101000000_from_the_future', 1)`,
      ),
    )
    const before = readFileSync(fileOf(database))

    const sentence = await mistakeIn(t, fileOf(database))

    assert.match(sentence, /a newer version of Restante has migrated it \(21000101000000_from_the_future\)/)
    assert.deepEqual(readFileSync(fileOf(database)), before)
  })

  it('when the file cannot be written', async (t) => {
    const database = await newDatabase(t)
    const file = fileOf(database)
    chmodSync(file, 0o444)
    // Without the capability that lets root write everywhere.
    const asRoot = ['setpriv', '--bounding-set=-dac_override', '--']
    const command = [...(process.getuid?.() === 0 ? asRoot : []), process.execPath, PROGRAM]

    const program = spawnProgram(t, {}, database, command)

    assert.equal(await program.exited, 1)
    assert.match(program.errors(), /^The database .* cannot be opened: .*(permission denied|read-?only).*\n$/)
    assert.ok(program.errors().includes(file))
  })
})

describe('a file that is being closed', () => {
  it('answers earlier calls, and refuses later ones as unavailable', async (t) => {
    const config = readConfig({ DATABASE_URL: await newDatabase(t) })
    const { database } = await openDatabase(config, { warn: () => {} }, assert.fail)

    const before = database.ping()
    const closed = database.close()
    const refused = assert.rejects(database.ping(), { name: 'DatabaseUnavailable' })

    await Promise.all([before, refused, closed])
  })
})

describe('a server whose file breaks', () => {
  const server = shareServer()
  const newAda = async () => new Client(await server()).join(newName('ada'))
  const readiness = async () => (await new Client(await server()).get('/readyz')).status
  const isReady = () => eventually('it is ready', async () => (await readiness()) === 200)
  const isNotReady = () => eventually('it is not ready', async () => (await readiness()) === 503)

  it('refuses everything when its path leads to no file or to another one, and is not ready, until it is back', async () => {
    const file = fileOf((await server()).database)
    const ada = await newAda()

    renameSync(file, `${file}.moved`)
    assert.equal((await ada.send(ada, 'into the void')).status, 503)
    await isNotReady()
    closeSync(openSync(file, 'w'))
    assert.equal((await ada.send(ada, 'into the void')).status, 503)
    await isNotReady()

    renameSync(`${file}.moved`, file)
    assert.equal((await ada.send(ada, 'into the file')).status, 201)
    await isReady()
  })

  it('refuses everything when its lock was removed, because another process may have opened the file', async () => {
    const lock = `${fileOf((await server()).database)}.lock`
    const ada = await newAda()

    renameSync(lock, `${lock}.moved`)
    assert.equal((await ada.send(ada, 'beside somebody else')).status, 503)
    await isNotReady()

    renameSync(`${lock}.moved`, lock)
    assert.equal((await ada.send(ada, 'alone')).status, 201)
    await isReady()
  })

  it('is not ready while the file is locked for writing, and ready again afterwards', async (t) => {
    const other = new SqliteFile(fileOf((await server()).database))
    t.after(() => other.close())
    await isReady()

    other.exec('BEGIN IMMEDIATE')
    await isNotReady()
    other.exec('ROLLBACK')
    await isReady()
  })

  it('is no longer ready once it has read a damaged page', async (t) => {
    // The last test with this server.
    const first = await server()
    const ada = await newAda()
    for (let i = 0; i < 10; i += 1) await ada.send(ada, 'page '.repeat(3_000))
    await first.stop()
    const file = fileOf(first.database)
    const pages = statSync(file).size / PAGE_BYTES
    const bytes = openSync(file, 'r+')
    // The texts, which come last.
    for (let page = pages - 30; page < pages; page += 1)
      writeSync(bytes, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, page * PAGE_BYTES)
    closeSync(bytes)
    const second = await startServer(t, {}, first.database)
    const client = new Client(second)
    assert.equal((await client.get('/readyz')).status, 200, 'nobody has looked there yet')

    const { status } = await client.get('/v1/inbox?after=0&wait=0', { token: ada.token })

    assert.equal(status, 500)
    await eventually('it is not ready', async () => (await client.get('/readyz')).status === 503)
  })
})

// test/long/crashes.test.ts has the other threads.
describeEndedThreads({ atStart: ['writer'], running: ['reader'] })

it('the folders that a start creates are synced into their parents', (t) => {
  const scratch = scratchFolder(t)
  const synced: number[] = []
  const { fsyncSync } = fs
  const watched = t.mock.method(fs, 'fsyncSync', (descriptor: number) => {
    synced.push(fstatSync(descriptor).ino)
    fsyncSync(descriptor)
  })
  syncBuiltinESMExports()

  lockDatabase(join(scratch, 'data', 'deeper', 'restante.db')).release()

  watched.mock.restore()
  syncBuiltinESMExports()
  for (const folder of [scratch, join(scratch, 'data')])
    assert.ok(synced.includes(statSync(folder).ino), folder)
})

/** The message of a start that must fail. */
const mistakeIn = (t: TestContext, file: string) => mistakeOf(startServer(t, {}, `file:${file}`))
