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
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { openStatements } from '../src/database/sqlite/connection.ts'
import { backUp } from '../src/database/sqlite/file/backup.ts'
import { skipNumbers } from '../src/database/sqlite/restores.ts'
import { spawnRestante } from './support/backups.ts'
import { adaAndBob, Client, type Message, range } from './support/client.ts'
import { restante, runRestante } from './support/command.ts'
import { fileOf, scratchFolder } from './support/databases.ts'
import { PROGRAM } from './support/program.ts'
import { mistakeOf, spawnProgram, spawnServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const textsOf = (file: string) =>
  withSql(`file:${file}`, async ({ run }) =>
    (await run('SELECT body FROM message')).map(({ body }) => String(body)),
  )

describe('restante backup', () => {
  it('copies, while a server runs, every message that was answered before it began', async (t) => {
    const server = await startServer(t)
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
    for (const _ of range(1, 2)) {
      const before = [...answered]
      await spawnRestante(server.database, ['backup', copy])
      const copied = new Set(await textsOf(copy))
      assert.deepEqual(
        before.filter((text) => !copied.has(text)),
        [],
      )
    }
    sending = false
    await Promise.all(senders)
    assert.deepEqual(readdirSync(dirname(copy)), ['copy.db'])

    // The copy is consistent: messages are complete, and numbers have no gaps.
    const restored = await startServer(t, {}, `file:${copy}`)
    const adaThere = await new Client(restored).enter(ada.username)
    const messages: Message[] = []
    for (let after = 0, more = true; more; ) {
      const { body } = await adaThere.poll({ after, wait: 0, limit: 500 })
      messages.push(...body.messages)
      more = body.hasMore && body.messages.length > 0
      after = body.cursor
    }
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      range(1, messages.length),
    )
    const known = new Set(answered)
    assert.deepEqual(
      messages.filter(({ body }) => !known.has(body)),
      [],
    )
  })

  it('needs no server; only the owner of the database can read the copy', async (t) => {
    const server = await startServer(t)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    await server.stop()
    const file = fileOf(server.database)
    // Only root can change the owner of a file.
    if (process.getuid?.() === 0) chownSync(file, 12_345, 12_346)
    const copy = join(scratchFolder(t), 'copy.db')

    const { stdout, stderr } = await runRestante(server.database, ['backup', copy])

    const [made, original] = [statSync(copy), statSync(file)]
    assert.deepEqual([made.uid, made.gid, made.mode & 0o777], [original.uid, original.gid, 0o600])
    // SQLite opens a log to read; a log made by root would block the server.
    for (const name of readdirSync(dirname(file)).filter((name) => /-(wal|shm)$/.test(name)))
      assert.equal(statSync(join(dirname(file), name)).uid, original.uid, name)
    assert.equal(stdout, `Copied ${file} to ${copy}, ${made.size} bytes.\n`)
    assert.match(stderr, new RegExp(`copy does not contain the secret .*in ${file}\\.jwt-secret`))
    assert.deepEqual(await textsOf(copy), ['hello'])
    const given = await runRestante(server.database, ['backup', copy], {
      env: { JWT_SECRET: 'x'.repeat(32), PUSH: 'on', PUSH_SUBJECT: 'mailto:ops@chat.example' },
    })
    assert.match(given.stderr, /copy does not contain .*in JWT_SECRET/)
    assert.match(given.stderr, new RegExp(`the push key in ${file}\\.vapid-keys`))
  })

  it('replaces the former backup in one step, readable only by its owner', async (t) => {
    const server = await startServer(t)
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
    assert.deepEqual(await textsOf(copy), ['the second'])
    assert.deepEqual(readdirSync(folder), ['copy.db'])
  })

  it('does not follow a symbolic link, whether to a backup or to nothing', async (t) => {
    const server = await startServer(t)
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
    const server = await startServer(t)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    const other = await startServer(t)
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
    await (await startServer(t, {}, `file:${names['used']}`)).stop()
    await withSql(`file:${names['program']}`, ({ run }) => run('CREATE TABLE cookies (name TEXT)'))

    const refused = { ...names, itself: file, dotted: join(dirname(file), '.', 'x', '..', 'restante.db') }
    for (const target of [
      ...Object.values(refused),
      fileOf(other.database),
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
    await assert.rejects(spawnRestante(server.database, ['backup', linked]), {
      code: 1,
      stderr: /^[^\n]+is the database itself[^\n]+\n$/,
    })
    rmSync(linked)
    assert.equal((await bob.send(ada, 'and on')).status, 201)
  })

  it('says what is wrong in one sentence, and leaves nothing behind', async (t) => {
    const server = await startServer(t)
    await server.stop()
    const folder = scratchFolder(t)
    const [copy, other] = [join(folder, 'copy.db'), join(folder, 'other.db')]
    await withSql(`file:${other}`, ({ run }) => run('CREATE TABLE cookies (name TEXT)'))
    const text = join(folder, 'text.db')
    writeFileSync(text, 'no database at all. '.repeat(100))
    for (const [database, args, reason] of [
      [`file:${folder}/none.db`, [copy], /^The database .*none\.db does not exist\.\n$/],
      [`file:${other}`, [copy], /^.*other\.db is not a Restante database\.\n$/],
      [`file:${text}`, [copy], /^The backup of .* failed: file is not a database\n$/],
      [
        server.database,
        [join(folder, 'none', 'copy.db')],
        /^The folder .*none for the backup does not exist\.\n$/,
      ],
      [server.database, [], /^error: missing required argument 'file'\n/],
      [server.database, [copy, copy], /^error: too many arguments/],
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

  it('leaves nothing behind when the disk is full, and does not change the former backup', async (t) => {
    const server = await startServer(t)
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

describe('a restored file', () => {
  it('is refused beside the log of the former database', async (t) => {
    const server = await spawnServer(t)
    const { ada, bob } = await adaAndBob(server)
    const file = fileOf(server.database)
    const copy = join(scratchFolder(t), 'copy.db')
    await bob.send(ada, 'kept')
    await runRestante(server.database, ['backup', copy])
    await bob.send(ada, 'lost')
    server.process.kill('SIGKILL')
    await server.exited
    assert.ok(statSync(`${file}-wal`).size > 0)
    copyFileSync(copy, file)
    const [before, log] = [readFileSync(file), readFileSync(`${file}-wal`)]

    const refusal = `${file}-wal is the log of an earlier database at ${file}. Remove ${file}-wal and ${file}-shm.`
    assert.ok((await mistakeOf(startServer(t, {}, server.database))).includes(refusal))
    const { code, stderr } = await restante(server.database, ['restored'])
    assert.equal(code, 1)
    assert.ok(stderr.includes(refusal), stderr)

    assert.deepEqual([readFileSync(file), readFileSync(`${file}-wal`)], [before, log])
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix)
    const restored = await startServer(t, {}, server.database)
    const bobThere = await new Client(restored).enter(bob.username)
    await bobThere.send(ada, 'after')
    assert.deepEqual(await textsOf(file), ['kept', 'after'])
  })

  it('keeps its mark until all inboxes are moved on, not only some', async (t) => {
    const server = await startServer(t)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
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

    assert.deepEqual((await state()).slice(0, 2), [0, 2])
  })

  it('skips numbers even if the clock is wrong', async (t) => {
    const server = await startServer(t)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    await server.stop()
    const file = openStatements(fileOf(server.database))
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

  it('is detected even if the copy was moved: the mark is inside', async (t) => {
    const server = await startServer(t)
    const { ada, bob } = await adaAndBob(server)
    await bob.send(ada, 'hello')
    const folder = scratchFolder(t)
    await runRestante(server.database, ['backup', join(folder, 'copy.db')])
    renameSync(join(folder, 'copy.db'), join(folder, 'another name.db'))

    const restored = await startServer(t, {}, `file:${join(folder, 'another name.db')}`)

    const adaThere = await new Client(restored).enter(ada.username)
    assert.equal((await adaThere.poll({ after: 1, wait: 0 })).body.gap.reason, 'restored')
  })
})
