/** restante backup copies the database of a running server, and replaces only an older backup. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { openStatements } from '../src/database/sqlite/connection.ts'
import { backUp } from '../src/database/sqlite/file/backup.ts'
import { skipNumbers } from '../src/database/sqlite/restores.ts'
import { spawnRestante } from './support/backups.ts'
import { adaAndBob, Client, type Message, type Person, range } from './support/client.ts'
import { restante, runRestante } from './support/command.ts'
import { fileOf, newDatabase, scratchFolder } from './support/databases.ts'
import { endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { PROGRAM } from './support/program.ts'
import { mistakeOf, shareServer, spawnProgram, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const textsOf = (file: string, { username }: Person) =>
  withSql(`file:${file}`, async ({ run }) =>
    (
      await run(
        'SELECT body FROM message JOIN account ON account.id = recipient_id WHERE username = ?',
        username,
      )
    ).map(({ body }) => String(body)),
  )

const running = shareServer()

describe('restante backup', () => {
  it('copies, while a server runs, every message that was answered before it began', async (t) => {
    const server = await running()
    const { ada, bob } = await adaAndBob(server)
    const answered: string[] = []
    let sending = true
    const senders = range(1, 4).map(async (sender) => {
      for (let number = 1; sending; number += 1) {
        const text = `${sender} ${number}`
        assert.equal((await bob.send(ada, text)).status, 201)
        answered.push(text)
        // The copying program also needs the processor.
        await pause(5)
      }
    })
    const copy = join(scratchFolder(t), 'copy.db')
    await eventually('messages are on their way', () => answered.length > 50)
    const begun = [...answered]
    await spawnRestante(server.database, ['backup', copy])
    const copied = new Set(await textsOf(copy, ada))
    assert.deepEqual(
      begun.filter((text) => !copied.has(text)),
      [],
    )
    sending = false
    await Promise.all(senders)
    assert.deepEqual(readdirSync(dirname(copy)), ['copy.db'])

    // The copy is consistent: messages are complete, and numbers have no gaps. A copy that was moved is a
    // copy, because the mark is inside.
    const moved = join(dirname(copy), 'another name.db')
    renameSync(copy, moved)
    const restored = await startServer(t, {}, `file:${moved}`)
    const adaThere = await new Client(restored).enter(ada.username)
    const messages: Message[] = []
    let gap: { from: number; reason: string } | undefined
    for (let after = 0, more = true; more; ) {
      const { body } = await adaThere.poll({ after, wait: 0, limit: 500 })
      messages.push(...body.messages)
      ;({ cursor: after, gap } = body)
      more = body.messages.length > 0
    }
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      range(1, messages.length),
    )
    assert.deepEqual([gap?.from, gap?.reason], [messages.length + 1, 'restored'])
    const known = new Set(answered)
    assert.deepEqual(
      messages.filter(({ body }) => !known.has(body)),
      [],
    )
  })

  it('replaces the former backup in one step, readable only by its owner', async (t) => {
    const server = await running()
    const { ada, bob } = await adaAndBob(server)
    const folder = scratchFolder(t)
    const copy = join(folder, 'copy.db')
    await runRestante(server.database, ['backup', copy])
    chmodSync(copy, 0o644)
    const first = statSync(copy)
    await bob.send(ada, 'the second')

    await runRestante(server.database, ['backup', copy])

    assert.notEqual(statSync(copy).ino, first.ino)
    assert.equal(statSync(copy).mode & 0o777, 0o600)
    assert.deepEqual(await textsOf(copy, ada), ['the second'])
    assert.deepEqual(readdirSync(folder), ['copy.db'])
  })

  it('does not follow a symbolic link, whether to a backup or to nothing', async (t) => {
    const server = await running()
    const folder = scratchFolder(t)
    const [copy, link, loose] = ['copy.db', 'link.db', 'loose.db'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    await runRestante(server.database, ['backup', copy])
    const before = readFileSync(copy)
    symlinkSync('copy.db', link)
    symlinkSync('nothing.db', loose)

    for (const target of [link, loose])
      assert.throws(() => backUp(fileOf(server.database), target), /is a symbolic link/)

    assert.deepEqual(readFileSync(copy), before)
    assert.deepEqual(readdirSync(folder).sort(), ['copy.db', 'link.db', 'loose.db'])
  })

  it('replaces only a backup, never a database, under any name', async (t) => {
    const server = await running()
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    const file = fileOf(server.database)
    const folder = scratchFolder(t)
    const names = Object.fromEntries(
      ['link', 'text', 'empty', 'folder', 'used', 'program'].map((name) => [name, join(folder, name)]),
    ) as Record<string, string>
    symlinkSync(file, names['link'] as string)
    writeFileSync(names['text'] as string, 'SQLite format 3\0 and a letter to my mother. '.repeat(20))
    writeFileSync(names['empty'] as string, '')
    mkdirSync(names['folder'] as string)
    await runRestante(server.database, ['backup', names['used'] as string])
    await startServer(t, {}, `file:${names['used']}`)
    await withSql(`file:${names['program']}`, ({ run }) => run('CREATE TABLE cookies (name TEXT)'))

    const refused = { ...names, itself: file, dotted: join(dirname(file), '.', 'x', '..', 'restante.db') }
    for (const target of [
      ...Object.values(refused),
      fileOf(await newDatabase(t)),
      `${file}.jwt-secret`,
      `${file}.last-backup`,
      `${file}-wal`,
    ]) {
      const before = statSync(target).isFile() && target !== `${file}-wal` ? readFileSync(target) : undefined
      assert.throws(
        () => backUp(file, target),
        /^[^\n]+(the database itself|not a Restante backup|belongs to the database|a symbolic link)[^\n]+$/,
      )
      if (before) assert.deepEqual(readFileSync(target), before)
    }
    // Unused names, also through another name of the folder.
    const alias = join(folder, 'alias')
    symlinkSync(dirname(file), alias)
    for (const target of [`${file}-journal`, join(alias, 'restante.db-journal')]) {
      assert.throws(() => backUp(file, target), /belongs to the database/)
      assert.ok(!existsSync(target), target)
    }
    const linked = `${file}.second-name`
    linkSync(file, linked)
    await assert.rejects(runRestante(server.database, ['backup', linked]), {
      code: 1,
      stderr: /^[^\n]+is the database itself[^\n]+\n$/,
    })
    rmSync(linked)
    assert.equal((await bob.send(ada, 'and on')).status, 201)
  })

  it('leaves nothing behind when the disk is full, and does not change the former backup', async (t) => {
    const server = await running()
    const { ada, bob } = await adaAndBob(server)
    const folder = scratchFolder(t)
    const copy = join(folder, 'copy.db')
    await runRestante(server.database, ['backup', copy])
    const before = readFileSync(copy)
    await Promise.all(range(1, 30).map(() => bob.send(ada, 'x'.repeat(16_000))))

    // The maximum size of a file, which has the effect of a full disk.
    const limited = [
      'bash',
      '-c',
      'ulimit -S -f 300; exec "$@"',
      'bash',
      process.execPath,
      PROGRAM,
      'backup',
      copy,
    ]
    const program = spawnProgram(t, {}, server.database, limited)

    assert.equal(await program.exited, 1)
    assert.match(program.errors(), /^The backup of \S+ to \S+ failed: [^\n]+\n$/)
    assert.deepEqual(readdirSync(folder), ['copy.db'])
    assert.deepEqual(readFileSync(copy), before)
  })
})

describe('without a server', () => {
  const end = endOfSuite()
  let stopped: { database: string; file: string; ada: Person }

  before(async () => {
    const server = await startServer(end)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    await server.stop()
    stopped = { database: server.database, file: fileOf(server.database), ada }
  })

  it('restante backup copies, and only the owner of the database can read the copy', async (t) => {
    const { database, ada, file } = stopped
    // Only root can change the owner of a file.
    if (process.getuid?.() === 0) chownSync(file, 12_345, 12_346)
    const copy = join(scratchFolder(t), 'copy.db')

    const { stdout, stderr } = await runRestante(database, ['backup', copy])

    const [made, original] = [statSync(copy), statSync(file)]
    assert.deepEqual([made.uid, made.gid, made.mode & 0o777], [original.uid, original.gid, 0o600])
    // SQLite opens a log to read; a log made by root would block the server.
    for (const name of readdirSync(dirname(file)).filter((name) => /-(wal|shm)$/.test(name)))
      assert.equal(statSync(join(dirname(file), name)).uid, original.uid, name)
    assert.equal(stdout, `Copied ${file} to ${copy}, ${made.size} bytes.\n`)
    assert.match(stderr, new RegExp(`copy does not contain the secret .*in ${file}\\.jwt-secret`))
    assert.deepEqual(await textsOf(copy, ada), ['hello'])
    const given = await runRestante(database, ['backup', copy], {
      env: { JWT_SECRET: 'x'.repeat(32), PUSH: 'on', PUSH_SUBJECT: 'mailto:ops@chat.example' },
    })
    assert.match(given.stderr, /copy does not contain .*in JWT_SECRET/)
    assert.match(given.stderr, new RegExp(`the push key in ${file}\\.vapid-keys`))
  })

  it('restante backup says what is wrong in one sentence, and leaves nothing behind', async (t) => {
    const { database: existing } = stopped
    const folder = scratchFolder(t)
    const [copy, other] = [join(folder, 'copy.db'), join(folder, 'other.db')]
    await withSql(`file:${other}`, ({ run }) => run('CREATE TABLE cookies (name TEXT)'))
    const text = join(folder, 'text.db')
    writeFileSync(text, 'no database at all. '.repeat(100))
    for (const [database, args, reason] of [
      [`file:${folder}/none.db`, [copy], /^The database .*none\.db does not exist\.\n$/],
      [`file:${other}`, [copy], /^.*other\.db is not a Restante database\.\n$/],
      [`file:${text}`, [copy], /^The backup of .* failed: file is not a database\n$/],
      [existing, [join(folder, 'none', 'copy.db')], /^The folder .*none for the backup does not exist\.\n$/],
      [existing, [], /^error: missing required argument 'file'\n/],
      [existing, [copy, copy], /^error: too many arguments/],
      [
        'postgresql://ada:pass@127.0.0.1:1/chat',
        [copy],
        /^DATABASE_URL names a PostgreSQL database\. .*pg_dump/,
      ],
    ] as const) {
      const { code, stderr } = await restante(database, ['backup', ...args])
      assert.equal(code, stderr.startsWith('error: ') ? 2 : 1)
      assert.match(stderr, reason)
    }
    assert.deepEqual(readdirSync(folder).sort(), ['other.db', 'text.db'])
  })

  it('a restore skips numbers even if the clock is wrong', async (t) => {
    const copy = join(scratchFolder(t), 'copy.db')
    await runRestante(stopped.database, ['backup', copy])
    const file = openStatements(copy)
    t.after(() => file.close())
    const newest = () =>
      file.prepare<[], number>('SELECT max(newest_seq) FROM account').pluck().get() as number
    t.mock.timers.enable({ apis: ['Date'] })
    const restoreAt = (time: string) => {
      t.mock.timers.setTime(Date.parse(time))
      assert.equal(skipNumbers(file), 2)
      return newest()
    }

    const first = restoreAt('1970-01-01')
    assert.equal(first, 1_000_000_001)
    assert.equal(restoreAt('9999-12-31'), first + 1_000_000_000)
    const right = restoreAt('2026-11-26')
    assert.equal(right, Date.parse('2026-11-26') * 1_000)
    assert.equal(restoreAt('2026-11-25'), right + 1_000_000_000)
    assert.ok(Number.isSafeInteger(restoreAt('2100-01-01')))
  })
})

describe('a restored file', () => {
  it('is refused beside the log of the former database', async (t) => {
    const server = await running()
    const { ada, bob } = await adaAndBob(server)
    const file = join(scratchFolder(t), 'restored.db')
    await bob.send(ada, 'kept')
    await runRestante(server.database, ['backup', file])
    await bob.send(ada, 'lost')
    // As a crash leaves it.
    copyFileSync(`${fileOf(server.database)}-wal`, `${file}-wal`)
    assert.ok(statSync(`${file}-wal`).size > 0)
    const [before, log] = [readFileSync(file), readFileSync(`${file}-wal`)]

    const refusal = `${file}-wal is the log of an earlier database at ${file}. Remove ${file}-wal and ${file}-shm.`
    assert.ok((await mistakeOf(startServer(t, {}, `file:${file}`))).includes(refusal))
    const { code, stderr } = await restante(`file:${file}`, ['restored'])
    assert.equal(code, 1)
    assert.ok(stderr.includes(refusal), stderr)

    assert.deepEqual([readFileSync(file), readFileSync(`${file}-wal`)], [before, log])
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
    const restored = await startServer(t, {}, `file:${file}`)
    const bobThere = await new Client(restored).enter(bob.username)
    await bobThere.send(ada, 'after')
    assert.deepEqual(await textsOf(file, ada), ['kept', 'after'])
  })

  it('keeps its mark until all inboxes are moved on, not only some', async (t) => {
    const server = await running()
    await adaAndBob(server)
    const copy = join(scratchFolder(t), 'copy.db')
    await runRestante(server.database, ['backup', copy])
    await withSql(`file:${copy}`, ({ run }) =>
      run(
        "CREATE TRIGGER stop BEFORE UPDATE ON store BEGIN SELECT RAISE(ABORT, 'stopped in the middle'); END",
      ),
    )
    await assert.rejects(startServer(t, {}, `file:${copy}`), /cannot be opened: stopped in the middle/)
    const state = () =>
      withSql(`file:${copy}`, async ({ run }) => [
        (await run('SELECT is_backup FROM store'))[0]?.['is_backup'],
        (await run('SELECT * FROM restored_range')).length,
        (await run('SELECT max(newest_seq) AS newest FROM account'))[0]?.['newest'],
      ])
    assert.deepEqual(await state(), [1, 0, 0])

    await withSql(`file:${copy}`, ({ run }) => run('DROP TRIGGER stop'))
    await (await startServer(t, {}, `file:${copy}`)).stop()

    const { length: inboxes } = await withSql(`file:${copy}`, ({ run }) => run('SELECT * FROM account'))
    assert.deepEqual((await state()).slice(0, 2), [0, inboxes])
  })
})
