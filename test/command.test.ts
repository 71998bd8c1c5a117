/**
 * The command `restante`, with and without a running server. On PostgreSQL two nodes serve one database: a
 * change on one is in force on the other.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client, newName, passwordOf, range } from './support/client.ts'
import { commandEnv, type Given, restante, runRestante } from './support/command.ts'
import {
  fileOf,
  itOnSqlite,
  newDatabase,
  noDatabaseYet,
  onPostgres,
  scratchFolder,
} from './support/databases.ts'
import { endOfSuite } from './support/endings.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { mistakeOf, type StartedServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'

const { version, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string
  bin: { restante: string }
}
/** The file that npm installs as the command. */
const PROGRAM = fileURLToPath(new URL(`../${bin.restante}`, import.meta.url))

const ending = endOfSuite()
const SECRET = { JWT_SECRET: 'a secret that all test servers have' }
let one: StartedServer
/** The other node, if there is one. */
let other: StartedServer
/** The socket of the first node, if it must be named. */
let named: Record<string, string>
before(async () => {
  named = onPostgres ? { OPS_SOCKET: join(scratchFolder(ending), 'restante.sock') } : {}
  one = await startServer(ending, { ...SECRET, ...named }, await newDatabase(ending))
  other = onPostgres ? await startServer(ending, SECRET, one.database) : one
})

/** How commands are run: with a server, or on an unused database. */
interface Way {
  run: (args: string[], given?: Given) => ReturnType<typeof runRestante>
  refuse: (args: string[], given?: Given) => ReturnType<typeof restante>
}

const wayTo = (database: () => string, env: () => Record<string, string>): Way => {
  const all = (given: Given = {}) => ({ ...given, env: { ...env(), ...given.env } })
  return {
    run: (args, given) => runRestante(database(), args, all(given)),
    refuse: async (args, given) => {
      const said = await restante(database(), args, all(given))
      assert.notEqual(said.code, 0, said.stdout)
      assert.equal(said.stdout, '')
      return said
    },
  }
}

const beside = wayTo(
  () => one.database,
  () => named,
)
let unused: string
before(async () => {
  unused = await newDatabase(ending)
  if (!onPostgres) chmodSync(fileOf(unused), 0o600)
})
const alone = wayTo(
  () => unused,
  () => ({}),
)

const json = async ({ run }: Way, ...args: string[]) => JSON.parse((await run([...args, '--json'])).stdout)

describe('with a running server, the command', () => {
  it('adds accounts, lists and shows them', async () => {
    const [ada, bob] = [newName('ada'), newName('bob')]
    const { stdout, stderr } = await beside.run(['user', 'add', ada, '--display-name', 'Ada 👩‍🚀 Lovelace'], {
      input: `${passwordOf(ada)}\n`,
    })
    assert.deepEqual([stdout, stderr], ['', `Added ${ada}.\n`])
    await beside.run(['user', 'add', bob], { input: passwordOf(bob) })

    const listed = await json(beside, 'user', 'list')
    const found = listed.find(({ username }: { username: string }) => username === ada)
    assert.match(found.createdAt, /^20\d\d-.*\.\d{3}Z$/)
    const inbox = { newest: 0, acknowledged: 0, unread: 0 }
    const { createdAt } = found
    const facts = { username: ada, displayName: 'Ada 👩‍🚀 Lovelace', createdAt, inbox, stored: 0 }
    assert.deepEqual(found, { ...facts, sessions: 0 })
    assert.deepEqual(await json(beside, 'user', 'show', ada.toUpperCase()), {
      ...facts,
      ...{ online: false, blocks: 0, pushSubscriptions: 0, sessions: [], tokens: [] },
    })
    const table = (await beside.run(['user', 'list'])).stdout.split('\n')
    assert.match(table[0] ?? '', /^USERNAME +NAME +STATE +SESSIONS +UNREAD +LAST SEEN +CREATED$/)
    assert.ok(table.some((line) => line.startsWith(`${ada} `) && / enabled +0 +0 +- +20\d\d-.*Z$/.test(line)))
    assert.match(
      (await beside.run(['user', 'show', ada])).stdout,
      /^Username +ada.*\nName +Ada 👩‍🚀 Lovelace\n/,
    )

    const taken = await beside.refuse(['user', 'add', ada], { input: 'long enough' })
    assert.deepEqual([taken.code, taken.stderr], [1, `The username ${ada} is taken.\n`])
    const short = await beside.refuse(['user', 'add', newName('eve')], { input: 'short\n' })
    assert.match(short.stderr, /^password must be 8 to 256 characters/)
    assert.match((await beside.refuse(['user', 'show', 'nobody'])).stderr, /^There is no user nobody/)
  })

  it('disables, enables and deletes accounts, and changes passwords', async () => {
    const ada = newName('ada')
    await beside.run(['user', 'add', ada], { input: passwordOf(ada) })
    await beside.run(['user', 'disable', ada])
    assert.ok((await json(beside, 'user', 'show', ada)).disabledAt)
    assert.match((await beside.run(['user', 'show', ada])).stdout, /\nState +disabled since 20/)
    await beside.run(['user', 'enable', ada])
    assert.equal((await json(beside, 'user', 'show', ada)).disabledAt, undefined)
    await beside.run(['user', 'password', ada], { input: 'another password' })

    const wrong = await beside.refuse(['user', 'delete', ada], { input: 'somebody\n' })
    assert.match(wrong.stderr, /^This deletes ada.* and 0 stored[\s\S]+Nothing was deleted.*--yes\.\n$/)
    await beside.run(['user', 'delete', ada], { typed: [`${ada}\r`] })
    for (const args of [['show'], ['disable'], ['enable'], ['password'], ['delete', '--yes']])
      assert.match(
        (await beside.refuse(['user', ...args, ada], { input: 'long enough' })).stderr,
        new RegExp(`^There is no user ${ada}\\.\n$`),
      )
  })

  it('creates, lists and revokes invites, and shows counts', async () => {
    const earlier = await json(beside, 'stats')
    const url = ['--url', 'https://chat.example/']
    const { stdout, stderr } = await beside.run(['invite', 'create', ...url, '--note', 'for Ada'])
    assert.match(stdout, /^https:\/\/chat\.example\/#invite=[0-9A-Z]{4}(-[0-9A-Z]{4}){3}\n$/)
    assert.match(stderr, /^Invite \d+, for one account, expires: 20.*Z\.\n$/)
    const many = await json(beside, 'invite', 'create', ...url, '--uses', '30', '--expires', 'never')
    assert.equal(many.link, `https://chat.example/#invite=${many.code}`)

    const listed = await json(beside, 'invite', 'list')
    const [first, second] = listed.slice(-2)
    assert.deepEqual([first.note, first.uses, first.used], ['for Ada', 1, 0])
    const lifeMs = Date.parse(first.expiresAt) - Date.parse(first.createdAt)
    assert.equal(lifeMs, 7 * 86_400_000)
    assert.deepEqual([second.uses, second.expiresAt, second.id], [30, undefined, many.id])
    assert.ok(!JSON.stringify(listed).includes(many.code))
    assert.match(
      (await beside.run(['invite', 'list'])).stdout,
      /^ID +STATE.*NOTE\n[\s\S]*valid +0 of 1 .* for Ada\n/,
    )
    const later = await json(beside, 'stats')
    assert.deepEqual(
      [later.invites - earlier.invites, later.invitedAccounts - earlier.invitedAccounts],
      [2, 31],
    )
    assert.match(
      (await beside.run(['stats'])).stdout,
      /^Accounts +\d+\n[\s\S]*\nInvites +\d+, for \d+ accounts\n/,
    )

    await beside.run(['invite', 'revoke', String(many.id)])
    assert.equal((await json(beside, 'invite', 'list')).length, listed.length - 1)
    assert.match((await beside.refuse(['invite', 'revoke', String(many.id)])).stderr, /^There is no invite/)
  })

  it('refuses invalid options of an invite as a usage error, and makes none', async () => {
    const { length } = await json(beside, 'invite', 'list')
    for (const [args, reason] of [
      [['--uses', '0'], /whole number from 1 to 1000000/],
      [['--uses', 'many'], /whole number/],
      [['--expires', '7'], /The unit is missing: write 7s/],
      [['--expires', '4000d'], /Expected a duration/],
      [['--note', 'x'.repeat(201)], /at most 200 characters/],
      [['--url', 'chat.example'], /an address such as https:/],
      [['--url', 'javascript:alert(1)'], /an address such as https:/],
      [['--uses'], /argument missing/],
      [['for-ada'], /too many arguments/],
    ] as const) {
      const { code, stderr } = await beside.refuse(['invite', 'create', ...args])
      assert.equal(code, 2)
      assert.match(stderr, reason)
    }
    assert.equal((await beside.refuse(['invite', 'revoke', 'all'])).code, 2)
    assert.equal((await json(beside, 'invite', 'list')).length, length)
  })

  it('prints a link to the server that lets a user register', async () => {
    const { stdout, stderr } = await beside.run(['invite', 'create'])
    assert.ok(stdout.startsWith(`${one.url}/#invite=`), stdout)
    assert.match(stderr, /\nThe link points to where the server listens\. .*--url/)
    const [, code] = /#invite=(.+)\n/.exec(stdout) ?? []
    assert.equal((await new Client(other).register(newName('ada'), undefined, code)).status, 201)
  })

  // Through the socket of one node; on PostgreSQL also as a temporary node.
  for (const env of onPostgres ? ['OPS_SOCKET', 'none'] : ['OPS_SOCKET'])
    it(`ends the polls of a disabled account within a second, on every node, with the reason: ${env}`, async (t) => {
      const ada = await new Client(other).join(newName('ada'))
      const poll = await park(t, ada, 'wait=55')
      const given = { env: env === 'none' ? { OPS_SOCKET: 'off' } : {} }
      const said = beside.run(['user', 'disable', ada.username], given)
      const answer = await poll.answer()
      const answeredMs = performance.now()
      await said

      // Joining as a node takes longer than the promised time.
      assert.ok(performance.now() - answeredMs < AT_ONCE_MS)
      assert.deepEqual([answer.status, answer.body.code], [401, 'session_ended'])
      assert.match(answer.body.detail, /^This account is disabled\./)
      assert.equal((await ada.me()).body.code, 'session_ended')
    })

  it('sets a password that ends sessions, and shows who is online', async (t) => {
    const ada = await new Client(other).join(newName('ada'))
    await ada.createToken({ name: 'door bell' })
    const poll = await park(t, ada, 'wait=55')
    // A poll on another node is known here a moment later.
    const show = () => json(beside, 'user', 'show', ada.username)
    await eventually('she is online', async () => (await show()).online)
    const { sessions, tokens } = await show()
    assert.deepEqual([sessions.length, tokens[0].name], [1, 'door bell'])
    assert.match(
      (await beside.run(['user', 'show', ada.username])).stdout,
      /\nSESSION +[\s\S]+\nTOKEN +[\s\S]+door bell/,
    )
    assert.ok((await json(beside, 'stats')).online >= 1)

    await beside.run(['user', 'password', ada.username], { input: 'another password\r\n' })
    assert.equal((await poll.answer()).body.code, 'session_ended')
    const entered = await new Client(other).login(ada.username, { password: 'another password' })
    assert.equal(entered.status, 200)
    await beside.run(['user', 'delete', '--yes', ada.username])
    assert.equal((await new Client(other).get('/v1/me', { token: entered.body.token })).status, 401)
  })

  it('lists more accounts than fit into one batch, as JSON and as a table', async () => {
    await withSql(one.database, ({ run }) =>
      run(
        `INSERT INTO account (username, display_name, password_hash, created_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 401)
         SELECT 'many-' || i, '', '', '2026-11-26 12:00:00' FROM n`,
      ),
    )
    const names = (await json(beside, 'user', 'list')).map(({ username }: { username: string }) => username)
    assert.deepEqual(
      names.filter((name: string) => name.startsWith('many-')),
      range(1, 401).map((i) => `many-${i}`),
    )
    const { stdout } = await beside.run(['user', 'list'])
    assert.equal(stdout.match(/^many-/gm)?.length, 401)
  })

  it('shows no control characters of users, and keeps all of them in JSON', async () => {
    const name = newName('eve')
    const displayName = 'E\u001b[2Jv\u009be \u202e\u2028 end'
    await beside.run(['user', 'add', name, '--display-name', displayName], { input: passwordOf(name) })
    for (const args of [['list'], ['show', name]]) {
      const { stdout } = await beside.run(['user', ...args])
      assert.ok(stdout.includes('E\ufffd[2Jv\ufffde \ufffd\ufffd end'), stdout)
      const asJson = (await beside.run(['user', ...args, '--json'])).stdout
      for (const text of [stdout, asJson]) assert.doesNotMatch(text, /(?!\n)[\p{Cc}\u2028\u202e]/u)
    }
    assert.equal((await json(beside, 'user', 'show', name)).displayName, displayName)
    const { stderr } = await beside.refuse(['user', 'show', '\u001b[2J'])
    assert.ok(!stderr.includes('\u001b'))
  })
})

describe('a password', () => {
  it('is asked for twice at a terminal, and not shown', async () => {
    const name = newName('ada')
    const { stdout, stderr } = await beside.run(['user', 'add', name], {
      typed: ['long enouff\x7f\x7fgh\r', 'long enough\r'],
    })
    assert.equal(stdout, '')
    assert.equal(stderr, `Password for ${name}: \nRepeat the password: \nAdded ${name}.\n`)
    assert.equal((await new Client(other).login(name, { password: 'long enough' })).status, 200)
  })

  it('is refused when the two differ, when there is none, and when it is interrupted', async () => {
    const name = newName('ada')
    for (const [given, reason] of [
      [{ typed: ['long enough\r', 'long enouhg\r'] }, /The passwords differ\. Nothing/],
      [{ typed: ['\r', '\r'] }, /The password is empty/],
      [{ typed: ['long\x03'] }, /Interrupted\. Nothing was changed/],
      [{ typed: ['\x04'] }, /Interrupted\. Nothing was changed/],
      [{ typed: ['long enough\r\x04'] }, /Interrupted\. Nothing was changed/],
      [{ input: '' }, /The password is missing: pass it as one line on standard input/],
      [{ input: '\nlong enough\n' }, /The password is missing/],
      [{ input: Buffer.from('long enough \xff\n', 'latin1') }, /is not UTF-8/],
    ] as const) {
      const { code, stderr } = await beside.refuse(['user', 'add', name], given)
      assert.equal(code, 1)
      assert.match(stderr, reason)
    }
    assert.match((await beside.refuse(['user', 'show', name])).stderr, /There is no user/)
  })

  // A terminal has no database: once.
  itOnSqlite('is no argument, and no terminal shows it', async (t) => {
    assert.equal((await beside.refuse(['user', 'add', newName('ada'), 'long enough'])).code, 2)
    assert.match((await beside.refuse(['user', 'add', 'ada', '--password', 'x'])).stderr, /unknown option/)

    const name = newName('ada')
    const inside = `${process.execPath} ${PROGRAM} user add ${name}`
    const terminal = spawn('script', ['-qec', inside, '/dev/null'], {
      env: { PATH: process.env['PATH'], ...commandEnv(one.database), ...named },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    t.after(() => terminal.kill())
    let text = ''
    let asked = 0
    terminal.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const questions = text.match(/: /g)?.length ?? 0
      for (; asked < questions; asked += 1) terminal.stdin.write('long enough\r')
    })
    await once(terminal, 'close')
    assert.match(
      text,
      new RegExp(`Password for ${name}: [\\s\\S]*Repeat the password: [\\s\\S]*Added ${name}\\.`),
    )
    assert.ok(!text.includes('long enough'), text)
  })
})

describe('without a server, the command', () => {
  it('works on the database itself', async () => {
    // Each takes as long as a start.
    const { run, refuse } = alone
    await run(['user', 'add', 'ada', '--display-name', 'Ada'], { input: 'long enough' })
    await run(['user', 'password', 'ada'], { input: 'another password' })
    await run(['user', 'disable', 'ada'])
    const [ada] = await json(alone, 'user', 'list')
    assert.deepEqual([ada.username, ada.displayName, typeof ada.disabledAt], ['ada', 'Ada', 'string'])
    assert.match((await refuse(['user', 'show', 'bob'])).stderr, /^There is no user bob\.\n$/)
    // Links are made from the settings; without a page there is only a code.
    const link = await run(['invite', 'create'])
    assert.match(link.stdout, /^http:\/\/127\.0\.0\.1:3000\/#invite=/)
    const pageless = await run(['invite', 'create'], { env: { WEB: 'off', REGISTRATION: 'closed' } })
    assert.match(pageless.stdout, /^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}\n$/)
    assert.match(pageless.stderr, /This is the code only.*--url.*\nREGISTRATION is closed/)
    const stats = await json(alone, 'stats')
    assert.deepEqual([stats.accounts, stats.invitedAccounts, stats.online], [1, 2, undefined])
    const invites = await json(alone, 'invite', 'list')
    assert.equal(invites.length, 2)
    await run(['invite', 'revoke', String(invites[0].id)])
    const report = JSON.parse((await run(['check', '--json'], { env: { PORT: '0' } })).stdout)
    assert.deepEqual([report.running, report.refusals], [undefined, []])

    const server = await startServer(ending, { ...SECRET, REGISTRATION: 'invite' }, unused)
    const client = new Client(server)
    const login = await client.login('ada', { password: 'another password' })
    assert.equal(login.body.code, 'account_disabled')
    const [, revoked] = /#invite=(.+)\n/.exec(link.stdout) ?? []
    assert.equal((await client.register('bob', undefined, revoked)).body.code, 'invalid_invite')
    assert.equal((await client.register('bob', undefined, pageless.stdout.trim())).status, 201)
    await server.stop()

    await run(['user', 'enable', 'ada'])
    await run(['user', 'delete', '--yes', 'bob'])
    const { account: accounts = [] } = await stored(unused)
    const states = accounts.map((row) => [row['username'], row['disabled_at'], row['deleted_at'] !== null])
    assert.deepEqual(states, [
      ['ada', null, false],
      ['bob', null, true],
    ])
  })

  it('locks the database like a server, and is refused when another process has it', async () => {
    const { code, stderr } = await restante(one.database, ['user', 'list'], { env: { OPS_SOCKET: 'off' } })
    if (onPostgres) return assert.equal(code, 0)
    assert.equal(code, 1)
    assert.match(stderr, /^The database .* is in use by another Restante process\. OPS_SOCKET is off\.\n$/)
  })

  itOnSqlite('never creates a database', async (t) => {
    const database = noDatabaseYet(t)
    const { code, stderr } = await restante(database, ['user', 'list'])
    assert.equal(code, 1)
    assert.match(stderr, /^The database .* does not exist.*DATABASE_URL/)
    assert.deepEqual(readdirSync(join(fileOf(database), '..')), [])
  })
})

describe('the socket', () => {
  let database: string
  before(async () => {
    database = await newDatabase(ending)
  })
  const startAt = (t: TestContext, path: string) => startServer(t, { ...SECRET, OPS_SOCKET: path }, database)

  it('is refused with a message at a path that is in use, too long, or invalid', async (t) => {
    const folder = scratchFolder(t)
    const [text, taken] = [join(folder, 'text'), join(folder, 'taken')]
    writeFileSync(text, 'a letter')
    const listener = createServer((socket) => socket.resume()).listen(taken)
    t.after(() => listener.close())
    await once(listener, 'listening')
    const refused = async (path: string) => {
      const error: Error = await startAt(t, path).then(
        () => assert.fail('It starts.'),
        (reason) => reason,
      )
      return error.message
    }

    assert.match(await refused(text), /text exists and is no socket/)
    assert.equal(readFileSync(text, 'utf8'), 'a letter')
    assert.match(await refused(taken), /^OPS_SOCKET: Another process listens on .*taken/)
    assert.match(
      await refused(join(folder, 'none', 'a.sock')),
      /^OPS_SOCKET: The folder .*none does not exist\.$/,
    )
    assert.match(
      await refused(join(folder, 'x'.repeat(100))),
      /^OPS_SOCKET: Expected .*of at most 10[37] bytes/,
    )
  })

  it('exists while the server runs, for its user only, and replaces one left by a killed server', async (t) => {
    const path = join(scratchFolder(t), 'a.sock')
    await leaveSocket(path)
    // The refused starts have released the database.
    const server = await startAt(t, path)
    const { mode } = statSync(path)
    assert.equal(mode & 0o777, 0o600)
    const args = ['stats', '--json']
    const { stdout } = await runRestante(database, args, { env: { OPS_SOCKET: path } })
    assert.equal(JSON.parse(stdout).parkedPolls, 0)
    await server.stop()
    assert.throws(() => statSync(path), { code: 'ENOENT' })
  })

  it('of a server that ends before its answer, or hangs, makes the command say so', async (t) => {
    const path = join(scratchFolder(t), 'a.sock')
    const listener = createServer((socket) => socket.on('error', () => {}))
    listener.listen(path)
    t.after(() => listener.close())
    await once(listener, 'listening')
    const env = { OPS_SOCKET: path }
    const hangs = await restante(one.database, ['check'], { env: { ...env, PORT: '0' } })
    assert.match(hangs.stdout, /\nRefused +The server at .*a\.sock does not answer\.\n/)

    for (const answer of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"username"'])
      for (const verb of ['list', 'show']) {
        listener.removeAllListeners('connection')
        listener.on('connection', (socket) => {
          socket.on('error', () => {})
          socket.once('data', () => socket.end(answer))
        })
        const args = ['user', verb, ...(verb === 'show' ? ['ada'] : [])]
        const { code, stderr } = await restante(one.database, args, { env })
        assert.deepEqual(
          [code, stderr],
          [
            1,
            'The server stopped before it answered. Check whether the command took effect, then try again.\n',
          ],
        )
      }
  })

  itOnSqlite('is beside the file, or in a named place if that path is too long', async (t) => {
    assert.ok(statSync(join(fileOf(one.database), '..', 'restante.sock')).isSocket())
    const folder = join(scratchFolder(t), 'x'.repeat(100))
    mkdirSync(folder)
    const database = `file:${join(folder, 'restante.db')}`
    const sentence = await mistakeOf(startServer(t, {}, database))
    assert.match(
      sentence,
      /^OPS_SOCKET: The path .* bytes; a socket path has at most 10[37]\. Set a shorter path/,
    )
    await (await startServer(t, { OPS_SOCKET: 'off' }, database)).stop()
    assert.ok(!readdirSync(folder).some((name) => name.endsWith('.sock')))
  })
})

/** A file left by a killed server. */
async function leaveSocket(path: string) {
  const listener = createServer().listen(path)
  await once(listener, 'listening')
  renameSync(path, `${path}.away`)
  listener.close()
  await once(listener, 'close')
  renameSync(`${path}.away`, path)
}

describe('restante check', () => {
  it('shows the settings in force and their sources, without secrets, and that a server runs', async () => {
    const env = { TOKEN_TTL: '2d', SESSION_MAX: '1d' }
    const { stdout } = await beside.run(['check'], { env })
    assert.match(stdout, /\nTOKEN_TTL +2d +environment\n/)
    assert.match(stdout, /\nRETENTION +24h +default\n/)
    assert.match(stdout, new RegExp(`\nServer +running, version ${version}\nWarning +SESSION_MAX: `))
    assert.match(stdout, /\nMigrations +up to date\n[\s\S]*\nResult +Ready to start\.\n$/)
    const report = await json(beside, 'check')
    assert.deepEqual([report.running, report.refusals], [version, []])
    assert.ok(report.settings.some(({ name }: { name: string }) => name === 'OPS_SOCKET'))

    const hidden = await restante('postgresql://ada:hush-hush@127.0.0.1:1/chat', ['check'], {
      env: { JWT_SECRET: 'hush-hush '.repeat(4) },
    })
    assert.equal(hidden.code, 1)
    assert.doesNotMatch(hidden.stdout + hidden.stderr, /hush/)
    assert.match(
      hidden.stdout,
      /\nRefused +The database 127\.0\.0\.1:1\/chat cannot be opened: .*ECONNREFUSED/,
    )
  })

  it('exits with 1 and every reason when a start would be refused', async (t) => {
    const busy = createServer().listen(0, '127.0.0.1')
    t.after(() => busy.close())
    await once(busy, 'listening')
    const { port } = busy.address() as { port: number }
    const free = { OPS_SOCKET: join(scratchFolder(t), 'free.sock') }
    const refusals = async (database: string, env: Record<string, string>) => {
      const { code, stdout } = await restante(database, ['check', '--json'], { env: { ...free, ...env } })
      assert.equal(code, 1)
      return JSON.parse(stdout).refusals.join('\n')
    }

    assert.match(
      await refusals(unused, { PORT: 'http', WEB: 'no' }),
      /^PORT: Expected.*\nWEB: Expected[^\n]+$/,
    )
    assert.match(await refusals(unused, { PORT: String(port) }), new RegExp(`^listen EADDRINUSE.*${port}$`))
    assert.match(
      await refusals(unused, { PORT: '0', OPS_PORT: String(port) }),
      new RegExp(`^OPS_PORT: listen EADDRINUSE.*${port}\\.$`),
    )
    if (!onPostgres)
      assert.match(await refusals(one.database, { PORT: '0' }), /is in use by another Restante process/)
    const later = await newDatabase(t)
    await withSql(later, ({ run }) =>
      run("UPDATE _prisma_migrations SET migration_name = '29990101000000_future'"),
    )
    assert.match(await refusals(later, { PORT: '0' }), /newer version of Restante has migrated it \(29990101/)
  })

  itOnSqlite('says how to get SQLite if its binary is missing or does not fit', async (t) => {
    // As if npm had not run scripts.
    const child = spawn(process.execPath, ['--no-addons', PROGRAM, 'check'], {
      env: { DATABASE_URL: noDatabaseYet(t), PORT: '0' },
    })
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    assert.equal(code, 1)
    assert.match(
      stdout,
      /\nRefused +The database .+ cannot be opened: better-sqlite3 has no binary .+rebuild/,
    )
  })

  itOnSqlite('changes nothing: it creates neither a database nor a folder', async (t) => {
    const folder = scratchFolder(t)
    const database = `file:${join(folder, 'data', 'restante.db')}`
    const { stdout } = await runRestante(database, ['check'], { env: { PORT: '0' } })
    assert.match(stdout, /\nMigrations +none yet\n/)
    assert.deepEqual(readdirSync(folder), [])
  })
})

describe('the program', () => {
  it('shows its commands with examples, each with its own help, and its version', async () => {
    const help = await beside.run(['--help'])
    assert.equal(help.stderr, '')
    const verbs = [
      'start',
      'user',
      'invite',
      'stats',
      'backup',
      'restored',
      'move',
      'check',
      'version',
      'help',
    ]
    for (const verb of verbs) assert.match(help.stdout, new RegExp(`^  ${verb}\\b`, 'm'))
    for (const command of [
      ...['start', 'stats', 'backup', 'restored', 'move', 'check'].map((verb) => [verb]),
      ...['list', 'show', 'add', 'password', 'disable', 'enable', 'delete'].map((verb) => ['user', verb]),
      ...['create', 'list', 'revoke'].map((verb) => ['invite', verb]),
    ]) {
      const { stdout } = await beside.run([...command, '-h'])
      assert.match(stdout, new RegExp(`^Usage: restante ${command.join(' ')}\\b[\\s\\S]+\nExamples?:\n  \\S`))
    }
    for (const args of [['version'], ['--version'], ['-V']])
      assert.equal((await beside.run(args)).stdout, `${version}\n`)
    // These need neither a server nor valid settings.
    const given = { env: { PORT: 'http' } }
    assert.equal((await runRestante('file:/nowhere/restante.db', ['version'], given)).stdout, `${version}\n`)
    assert.equal((await runRestante('file:/nowhere/restante.db', ['help'], given)).stdout, help.stdout)
  })

  it('exits with 2 on wrong usage, and suggests what was probably meant', async () => {
    for (const [args, reason] of [
      [['usr'], /^error: unknown command 'usr'\n\(Did you mean user\?\)/],
      [['user'], /^Usage: restante user/],
      [['user', 'shwo'], /Did you mean show\?/],
      [['user', 'show'], /missing required argument 'name'/],
      [['user', 'list', '--jsno'], /Did you mean --json\?/],
      [['restored', 'all'], /too many arguments/],
      [['backup'], /missing required argument 'file'/],
      [['backup', '--all'], /unknown option '--all'/],
    ] as const) {
      const said = await restante(unused, [...args])
      assert.deepEqual([said.code, said.stdout], [2, ''])
      assert.match(said.stderr, reason)
    }
  })

  itOnSqlite('is the command that npm installs, and ends quietly when its output is closed', async () => {
    assert.match(readFileSync(PROGRAM, 'utf8'), /^#!\/usr\/bin\/env node\n/)
    const child = spawn(PROGRAM, ['check'], {
      env: { PATH: process.env['PATH'], ...commandEnv(one.database), ...named },
    })
    child.stdout.destroy()
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const [code] = await once(child, 'close')
    assert.deepEqual([code, errors], [0, ''])
  })
})
