/** How the program starts, refuses to start, and prints. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import { Client, newName } from './support/client.ts'
import { restante } from './support/command.ts'
import { fileOf, noDatabaseYet, scratchFolder } from './support/databases.ts'
import { endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { PROGRAM } from './support/program.ts'
import {
  type Env,
  type LogLine,
  mistakeOf,
  type ServerProcess,
  shareServer,
  spawnProgram,
  spawnServer,
  startServer,
} from './support/servers.ts'

/** Under a second on an idle machine; only a hanging start is a failure. */
const START_MS_MAX = 60_000

const server = shareServer()

describe('a start', () => {
  it('prints only where it listens, and creates the folder and the database', async (t) => {
    const file = join(scratchFolder(t), 'data', 'deeper', 'restante.db')
    // If it were more than the machine permits, this would be logged.
    const server = await spawnServer(t, { CONNECTIONS_MAX: '100' }, `file:${file}`)

    assert.equal((await new Client(server).get('/readyz')).status, 200)
    assert.equal(await stop(server), 0)
    assert.equal(server.errors(), '')
    assert.deepEqual(
      server.logs.map(({ level, msg }) => [level, msg]),
      [
        [30, `Server listening at ${server.url}`],
        [30, 'ready'],
        [30, 'stopping'],
        [30, 'stopped'],
      ],
    )
    const { version, page, reference, database } = server.logs[1] as LogLine
    assert.match(String(version), /^\d+\.\d+\.\d+$/)
    assert.deepEqual([page, reference, database], [[`${server.url}/`], `${server.url}/docs/`, file])
  })

  it('on a terminal prints where the page, the reference and the database are', async (t) => {
    if (spawnSync('script', ['--version']).error)
      return t.diagnostic('Not tried: this machine has no `script`, which makes a terminal.')
    const file = join(scratchFolder(t), 'restante.db')
    const inside = `PORT=0 node '${PROGRAM}'`
    const terminal = spawn('script', ['-qec', inside, '/dev/null'], {
      env: { PATH: process.env['PATH'], DATABASE_URL: `file:${file}` },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let text = ''
    terminal.stdout.on('data', (chunk: Buffer) => {
      const printed = text.includes('Ctrl+C')
      text += chunk.toString()
      // Like a person stops it.
      if (!printed && text.includes('Ctrl+C')) terminal.stdin.write('\x03')
    })
    await once(terminal, 'close')

    const [, page, reference, database] =
      /Page +(\S+)\s+API reference +(\S+)\s+Database +(\S+)\s+Ctrl\+C stops it/.exec(text) ?? []
    assert.match(text, /^\s+Restante \d+\.\d+\.\d+\s+Page/)
    assert.match(page ?? '', /^http:\/\/127\.0\.0\.1:\d+\/$/)
    assert.deepEqual([reference, database], [`${page}docs/`, file])
    assert.match(text, /"stopped"/)
  })

  it('is refused while another server has the database, also under another name', async (t) => {
    const { database, url } = await server()
    const link = join(scratchFolder(t), 'link.db')
    symlinkSync(fileOf(database), link)

    for (const name of [database, `file:${link}`])
      assert.equal(
        await mistakeOf(startServer(t, {}, name)),
        `The database ${fileOf(name)} is in use by another Restante process.`,
      )
    const ada = await new Client({ url }).join(newName('ada'))
    assert.equal((await ada.send(ada, 'still here')).status, 201)
  })

  it('gets the database only once when two happen at once, and again at once after a kill', async (t) => {
    const database = noDatabaseYet(t)
    const programs = Array.from({ length: 2 }, () => spawnProgram(t, {}, database))
    const starts = await Promise.allSettled(
      programs.map(async (program) => ({ program, url: await program.listening })),
    )
    const [winner, ...others] = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))

    assert.ok(winner)
    assert.deepEqual(others, [])
    for (const program of programs.filter((each) => each !== winner.program)) {
      assert.equal(await program.exited, 1)
      assert.match(program.errors(), /^The database .+ is in use by another Restante process\.\n$/)
    }

    const ada = await new Client(winner).join('ada')
    await ada.send('ada', 'from the first start')
    winner.program.process.kill('SIGKILL')
    await winner.program.exited
    const next = await startServer(t, {}, database)
    const answer = await new Client(next).get('/v1/inbox?wait=0', { token: ada.token })
    assert.equal(answer.body.messages[0]?.body, 'from the first start')
  })

  it('is refused with one message per mistake in the settings, and so is every command', async (t) => {
    const folder = scratchFolder(t)
    writeFileSync(join(folder, '.env'), 'PORT=http\nRETENTION 7d\n')

    const { status, stdout, stderr } = run(folder, { TRUST_PROXY: 'yes', JWT_SECRET: 'too-short' })

    assert.deepEqual([status, stdout], [1, ''])
    const [first, second, third = '', fourth = '', ...more] = stderr.trimEnd().split('\n')
    assert.deepEqual(
      [first, second],
      [
        '.env, line 2: Expected NAME=value, or # before a comment.',
        'PORT: Expected a whole number from 0 to 65535, got "http" in .env, line 1.',
      ],
    )
    assert.match(third, /^TRUST_PROXY: Expected .+, got "yes" in the environment\.$/)
    assert.match(fourth, /^JWT_SECRET: Expected .*32 bytes.*\.$/)
    assert.doesNotMatch(fourth, /too-short/)
    assert.deepEqual(more, [])

    // A command reads the .env in its working directory, too.
    const here = process.cwd()
    process.chdir(folder)
    const { code, ...said } = await restante(`file:${join(folder, 'restante.db')}`, ['user', 'list'], {
      env: { TRUST_PROXY: 'yes', JWT_SECRET: 'too-short' },
    }).finally(() => process.chdir(here))
    assert.deepEqual([code, said.stdout, said.stderr], [1, '', stderr])
    assert.deepEqual(readdirSync(folder), ['.env'], 'they made no database')
  })

  it('is refused with an unknown argument, which would otherwise be ignored', async (t) => {
    const folder = scratchFolder(t)
    for (const args of [['--port=80'], ['start', '--port=80'], ['start', 'now'], ['strat']]) {
      const { code, stdout, stderr } = await restante(`file:${join(folder, 'restante.db')}`, args)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(
        stderr,
        /^error: .*(--port=80|too many arguments|strat)[\s\S]+environment variables, not arguments: README/,
      )
    }
    assert.deepEqual(readdirSync(folder), [])
  })

  it('is refused with a message when the port is in use', async (t) => {
    const { url, port } = await somethingElse(t)
    const sentence = await refusal(t, noDatabaseYet(t), { PORT: String(port) })
    assert.match(sentence, /EADDRINUSE/)
    assert.ok(sentence.includes(new URL(url).host), sentence)
  })

  const unusable: Record<string, (folder: string) => { file: string; says: RegExp }> = {
    'is a folder': (folder) => {
      mkdirSync(join(folder, 'folder'))
      return { file: join(folder, 'folder'), says: /open/ }
    },
    'is another kind of file': (folder) => {
      writeFileSync(join(folder, 'text'), 'Dear diary, '.repeat(1_000))
      return { file: join(folder, 'text'), says: /not a database/ }
    },
    'is below a file': (folder) => {
      writeFileSync(join(folder, 'file'), '')
      return { file: join(folder, 'file', 'restante.db'), says: /EEXIST|ENOTDIR/ }
    },
    'is damaged': (folder) => {
      const file = join(folder, 'damaged.db')
      // The header of an SQLite file, followed by noise.
      writeFileSync(file, Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(20_000, 0xa5)]))
      return { file, says: /database/ }
    },
    'is in a folder that cannot be written': (folder) => {
      chmodSync(folder, 0o500)
      // Permissions do not stop root, but nobody can write below a path that is no folder.
      const file = process.getuid?.() === 0 ? '/dev/null/restante.db' : join(folder, 'restante.db')
      return { file, says: /EEXIST|ENOTDIR|EACCES/ }
    },
  }
  for (const [what, make] of Object.entries(unusable)) {
    it(`is refused with a message that names the database when that ${what}`, async (t) => {
      const { file, says } = make(scratchFolder(t))
      const sentence = await mistakeOf(startServer(t, {}, `file:${file}`))
      assert.ok(sentence.includes(file), sentence)
      assert.match(sentence, says)
    })
  }

  it('is refused with a message when the disk is full, and possible when it no longer is', async (t) => {
    const database = noDatabaseYet(t)
    const full = ['bash', '-c', 'ulimit -S -f 8; exec "$0" "$1"', process.execPath, PROGRAM]
    const sentence = await refusal(t, database, {}, full)
    assert.ok(sentence.includes(fileOf(database)), sentence)

    const server = await startServer(t, {}, database)
    const ada = await new Client(server).join('ada')
    assert.equal((await ada.send('ada', 'there is room again')).status, 201)
  })
})

describe('a server with .env in its working directory, and few open files', () => {
  const ending = endOfSuite()
  let program: ServerProcess

  before(async () => {
    const folder = scratchFolder(ending)
    writeFileSync(join(folder, '.env'), 'LOG_LEVEL=debug\nMESSAGE_LENGTH_MAX=40\nTOKEN_TLL=1h\n')
    program = await spawnServer(ending, { RETENTOIN: '1h', OPS_PORT: '0' }, undefined, [
      ...['sh', '-c', 'ulimit -n 200 && cd "$1" && exec "$0" "$2"'],
      ...[process.execPath, folder, PROGRAM],
    ])
  })

  it('reads .env, and warns about ignored names', async () => {
    const ada = await new Client(program).join('ada')
    assert.equal((await ada.send('ada', 'x'.repeat(41))).status, 400)
    assert.deepEqual(
      program.logs.filter(({ msg }) => msg.includes('is unknown')).map(({ level, msg }) => [level, msg]),
      [
        [40, '.env, line 3: TOKEN_TLL is unknown and ignored. Did you mean TOKEN_TTL?'],
        [40, 'RETENTOIN is unknown and ignored. Did you mean RETENTION?'],
      ],
    )
  })

  it('logs one JSON object per line, with the request id that the client got', async () => {
    const client = new Client(program)
    const ada = await client.join('bob')
    const answers = [
      await ada.send('bob', 'a body that is nobody else’s business'),
      await ada.poll({ wait: 0 }),
      await client.get('/v1/nothing-here'),
      await client.get('/v1/inbox', { token: 'not.a.token' }),
    ]

    for (const { status, headers } of answers) {
      const line = () => program.logs.find(({ reqId }) => reqId === headers.get('x-request-id'))
      await eventually('the line is there', () => line() !== undefined)
      assert.equal(line()?.['status'], status)
    }
    const everything = JSON.stringify(program.logs)
    for (const secret of ['nobody else', 'the password of', ada.token]) {
      assert.ok(!everything.includes(secret), secret)
    }
    assert.ok(program.logs.every(isLogLine))
  })

  it('says once that fewer connections fit the limit of open files', async () => {
    await program.logged('CONNECTIONS_MAX')
    const lines = program.logs.filter(({ msg }) => msg.includes('CONNECTIONS_MAX'))
    assert.equal(lines.length, 1)
    assert.match(lines[0]?.msg ?? '', /from 50000 to 136\b/)
  })

  it('serves its metrics, also those of Node: the bundle that npm installs has them', async () => {
    const { msg } = await program.logged('metrics at ')

    const answer = await fetch(msg.slice('metrics at '.length))

    assert.equal(answer.status, 200)
    assert.match(await answer.text(), /^nodejs_version_info\{/m)
  })

  // The last one, because it ends the program.
  it('stops cleanly with 1 when nobody reads its log any more, so that it is restarted', async () => {
    program.process.stdout?.destroy()
    await new Client(program).get('/healthz').catch(() => {})
    assert.equal(await program.exited, 1)
    // It has closed the database: the log is written back into the file.
    assert.ok(
      !readdirSync(join(fileOf(program.database), '..')).some((name) => /\.(sock|db-wal)$/.test(name)),
    )
  })
})

describe('the log', () => {
  it('has a fault with the id of its request', async () => {
    const { url, database, logs } = await server()
    const ada = await new Client({ url }).join(newName('ada'))
    const other = new SqliteFile(fileOf(database))
    other.exec('BEGIN IMMEDIATE')
    const { status, headers } = await ada.send(ada, 'while somebody else has the database')
    other.close()

    assert.equal(status, 503)
    const line = () => logs.find(({ reqId }) => reqId === headers.get('x-request-id'))
    await eventually('the line is there', () => line() !== undefined)
    assert.ok((line()?.level ?? 0) >= 40)
  })
})

const isLogLine = ({ level, time, msg }: LogLine) =>
  typeof level === 'number' && typeof time === 'number' && typeof msg === 'string'

/** Stops the process cleanly, and resolves with its exit code. */
async function stop(server: Awaited<ReturnType<typeof spawnServer>>) {
  await server.stop()
  return server.exited
}

/** Runs the program to its end in a folder, which may have a `.env`. */
function run(folder: string, env: Env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    encoding: 'utf8',
    timeout: START_MS_MAX,
  })
  return { status, stdout, stderr }
}

/** Makes a start that must fail. Resolves with its output: one message, no log, no stack. */
async function refusal(t: TestContext, database: string, env: Env = {}, command?: string[]): Promise<string> {
  const program = spawnProgram(t, env, database, command)
  const timer = setTimeout(() => program.process.kill('SIGKILL'), START_MS_MAX)
  assert.equal(await program.exited, 1, program.errors())
  clearTimeout(timer)
  assert.deepEqual(program.logs, [])
  const [sentence = '', ...rest] = program.errors().split('\n')
  assert.deepEqual(rest, [''], program.errors())
  assert.match(sentence, /^[^{].{10,}/)
  return sentence
}

/** Something that listens on a port. */
async function somethingElse(t: TestContext) {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const address = other.address()
  assert.ok(typeof address === 'object' && address)
  return { url: `http://127.0.0.1:${address.port}`, port: address.port }
}
