/**
 * The SQLite file. A file that must not be served stops the start with a message, before anything is changed
 * in it. If a served file breaks, the server refuses requests and is not ready.
 */
import assert from 'node:assert/strict'
import {
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
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { Client, range } from './support/client.ts'
import { fileOf, scratchFolder } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { PROGRAM } from './support/program.ts'
import { mistakeOf, spawnProgram, spawnServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const PAGE_BYTES = 4_096

describe('a second process is refused', () => {
  it('when both used a symbolic link to a file that did not exist', async (t) => {
    const folder = scratchFolder(t)
    const [link, file] = [join(folder, 'link.db'), join(folder, 'file.db')]
    symlinkSync(file, link)
    await startServer(t, {}, `file:${link}`)

    for (const path of [file, link])
      assert.match(await refusal(t, path), /is in use by another Restante process/)
  })

  it('when one used a linked folder', async (t) => {
    const folder = scratchFolder(t)
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), join(folder, 'linked'))
    await startServer(t, {}, `file:${join(folder, 'linked', 'restante.db')}`)

    assert.match(
      await refusal(t, join(folder, 'real', 'restante.db')),
      /is in use by another Restante process/,
    )
  })

  it('when one used a hard link, and so is every process until the link is removed', async (t) => {
    const server = await startServer(t)
    const file = fileOf(server.database)
    const link = `${file}.link`
    linkSync(file, link)

    assert.match(await mistakeIn(t, link), /has a second hard link/)
    await server.stop()
    assert.match(await mistakeIn(t, file), /has a second hard link/)
    rmSync(link)
    await startServer(t, {}, server.database)
  })
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
    const { database, stop } = await startServer(t)
    await stop()
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
    const { database, stop } = await startServer(t)
    await stop()
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

describe('a server whose file breaks', () => {
  it('refuses everything when the file was removed, and is not ready', async (t) => {
    const server = await spawnServer(t)
    const ada = await new Client(server).join('ada')

    rmSync(fileOf(server.database))

    assert.equal((await ada.send('ada', 'into the void')).status, 503)
    assert.equal((await new Client(server).get('/readyz')).status, 503)
  })

  it('refuses everything when the file was moved or replaced, until it is back', async (t) => {
    const server = await startServer(t)
    const file = fileOf(server.database)
    const ada = await new Client(server).join('ada')
    renameSync(file, `${file}.moved`)
    closeSync(openSync(file, 'w'))

    assert.equal((await ada.send('ada', 'into the void')).status, 503)
    assert.equal((await new Client(server).get('/readyz')).status, 503)

    await renameSync(`${file}.moved`, file)
    assert.equal((await ada.send('ada', 'into the file')).status, 201)
    await eventually('it is ready', async () => (await new Client(server).get('/readyz')).status === 200)
  })

  it('refuses everything when its lock was removed, because another process may have opened the file', async (t) => {
    const server = await startServer(t)
    const ada = await new Client(server).join('ada')

    renameSync(`${fileOf(server.database)}.lock`, `${fileOf(server.database)}.moved`)

    assert.equal((await ada.send('ada', 'beside somebody else')).status, 503)
    assert.equal((await new Client(server).get('/readyz')).status, 503)
    renameSync(`${fileOf(server.database)}.moved`, `${fileOf(server.database)}.lock`)
    assert.equal((await ada.send('ada', 'alone')).status, 201)
  })

  it('is no longer ready once it has read a damaged page', async (t) => {
    const first = await startServer(t)
    const ada = await new Client(first).join('ada')
    for (let i = 0; i < 10; i += 1) await ada.send('ada', 'page '.repeat(3_000))
    await first.stop()
    const file = fileOf(first.database)
    const pages = statSync(file).size / PAGE_BYTES
    const bytes = openSync(file, 'r+')
    // The texts, which come last.
    for (let page = pages - 30; page < pages; page += 1)
      writeSync(bytes, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, page * PAGE_BYTES)
    closeSync(bytes)
    const server = await startServer(t, {}, first.database)
    const client = new Client(server)
    assert.equal((await client.get('/readyz')).status, 200, 'nobody has looked there yet')

    const { status } = await client.get('/v1/inbox?after=0&wait=0', { token: ada.token })

    assert.equal(status, 500)
    await eventually('it is not ready', async () => (await client.get('/readyz')).status === 503)
  })

  it('is not ready while the file is locked for writing, and ready again afterwards', async (t) => {
    const server = await startServer(t)
    const ready = async () => (await new Client(server).get('/readyz')).status
    assert.equal(await ready(), 200)
    const other = new SqliteFile(fileOf(server.database))
    t.after(() => other.close())

    other.exec('BEGIN IMMEDIATE')
    await eventually('it is not ready', async () => (await ready()) === 503)
    other.exec('ROLLBACK')
    await eventually('it is ready again', async () => (await ready()) === 200)
  })
})

describe('a database thread that ends by itself', () => {
  const command = (where: string) => [
    process.execPath,
    `--import=${new URL(`support/ending-thread.mjs?${where}`, import.meta.url).href}`,
    PROGRAM,
  ]

  for (const role of ['writer', 'reader'])
    it(`stops the start with a message: the ${role}`, async (t) => {
      const program = spawnProgram(
        t,
        {},
        `file:${join(scratchFolder(t), 'restante.db')}`,
        command(`at-start-${role}`),
      )

      assert.equal(await program.exited, 1)
      assert.match(program.errors(), /^The database .* cannot be opened: The database thread ended .*\n$/)
    })

  for (const thread of ['writer', 'reader', 'checkpoints'])
    it(`ends the process, so that its supervisor starts it again: the ${thread}`, async (t) => {
      const server = await spawnServer(t, {}, undefined, command(thread))
      const ada = await new Client(server).join('ada')
      // This many cause a checkpoint, which has a thread of its own.
      if (thread === 'checkpoints')
        await Promise.all(range(1, 256).map((i) => ada.send('ada', `${i} `.padEnd(16_000, 'kept '))))

      // A thread that is about to start gets a later signal.
      const signals = setInterval(() => server.process.kill('SIGWINCH'), 100)
      t.after(() => clearInterval(signals))

      assert.equal(await server.exited, 1)
      assert.match(server.logs.at(-1)?.msg ?? '', /The database is lost/)
    })
})

it('the folders that a start creates are synced into their parents', async (t) => {
  const scratch = scratchFolder(t)
  const file = join(scratch, 'data', 'deeper', 'restante.db')
  const synced = join(scratch, 'synced')
  const probe = new URL('support/synced-folders.mjs', import.meta.url).href

  await spawnServer(t, { NODE_OPTIONS: `--import=${probe}`, SYNCED: synced }, `file:${file}`)

  const inodes = readFileSync(synced, 'utf8').split('\n')
  for (const folder of [scratch, dirname(dirname(file))]) assert.ok(inodes.includes(inodeOf(folder)), folder)
})

function inodeOf(folder: string): string {
  const descriptor = openSync(folder, 'r')
  try {
    return String(fstatSync(descriptor).ino)
  } finally {
    closeSync(descriptor)
  }
}

/** The message of a start that must fail with 1, and print nothing else. */
async function refusal(t: TestContext, file: string): Promise<string> {
  const program = spawnProgram(t, {}, `file:${file}`)
  assert.equal(await program.exited, 1)
  const [sentence = '', ...rest] = program.errors().split('\n')
  assert.deepEqual(rest, [''])
  return sentence
}

/** The same for a start in this process, if a separate process is not needed. */
const mistakeIn = (t: TestContext, file: string) => mistakeOf(startServer(t, {}, `file:${file}`))
