/** Only the server's user can access the files of the server, and files prepared by others are refused. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { lockDatabase } from '../src/database/sqlite/file/lock.ts'
import { UnsafeFile } from '../src/private-files.ts'
import { readKeyPairs, readSecrets } from '../src/secrets.ts'
import { Client } from './support/client.ts'
import { runRestante } from './support/command.ts'
import { fileOf, newDatabase, scratchFolder } from './support/databases.ts'
import { type RunningServer, spawnProgram, startServer } from './support/servers.ts'

const SECRET = 'a secret that is long enough to be one'

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

const warningsOf = ({ logs }: RunningServer) => logs.filter(({ level }) => level >= 40).map(({ msg }) => msg)

/** In a folder that others may read, like one that existed before. */
function openFolder(t: TestContext) {
  const folder = join(scratchFolder(t), 'open')
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  const file = join(folder, 'restante.db')
  return { folder, file, database: `file:${file}` }
}

describe('the files of the server', () => {
  it('can be read only by its user, whatever the umask, also in an existing folder', async (t) => {
    const { folder, database } = openFolder(t)
    const before = process.umask(0)
    t.after(() => process.umask(before))
    const push = { PUSH: 'on', PUSH_SUBJECT: 'mailto:ops@chat.example' }
    const server = await startServer(t, push, database)
    await new Client(server).register('ada')
    await runRestante(database, ['backup', join(folder, 'copy.db')])

    const suffixes = ['', '-shm', '-wal', '.jwt-secret', '.last-backup', '.lock', '.vapid-keys'].map(
      (suffix) => `restante.db${suffix}`,
    )
    assert.deepEqual(readdirSync(folder).sort(), ['copy.db', ...suffixes, 'restante.sock'])
    for (const name of readdirSync(folder)) assert.equal(modeOf(join(folder, name)), '600', name)
    assert.equal(modeOf(folder), '755', 'the folder is not ours')
    assert.deepEqual(warningsOf(server), [])
  })

  it('get a warning when others can read them, and the secret is closed', async (t) => {
    const database = await newDatabase(t)
    const file = fileOf(database)
    writeFileSync(`${file}.jwt-secret`, SECRET)
    for (const open of [file, `${file}.jwt-secret`]) chmodSync(open, 0o644)

    const server = await startServer(t, {}, database)

    const [ofDatabase = '', ofSecret = '', ...more] = warningsOf(server)
    assert.match(ofDatabase, /Run: chmod 600 /)
    assert.ok(ofDatabase.includes(file), ofDatabase)
    assert.match(ofSecret, /could read .+\.jwt-secret/)
    assert.deepEqual(more, [])
    assert.equal(modeOf(`${file}.jwt-secret`), '600')
    assert.ok(!JSON.stringify(server.logs).includes(SECRET))
  })
})

describe('a file prepared by another user is refused, and not touched', () => {
  const FILES = ['.jwt-secret', '.jwt-secret.draft', '.vapid-keys', '.vapid-keys.draft', '.lock']
  for (const suffix of FILES) {
    it(`in the place of ${suffix}`, (t) => {
      const { file, folder } = openFolder(t)
      const [place, target] = [file + suffix, join(folder, 'target')]
      const begin = () => {
        const path = file + suffix.replace('.draft', '')
        if (suffix === '.lock') lockDatabase(file).release()
        else (suffix.startsWith('.vapid') ? readKeyPairs : readSecrets)({}, path, () => {})
      }
      const assertRefused = (what: RegExp) =>
        assert.throws(begin, (error) => {
          assert.ok(error instanceof UnsafeFile, String(error))
          assert.ok(error.message.startsWith(place), error.message)
          assert.match(error.message, what)
          return true
        })

      symlinkSync(target, place)
      assertRefused(/is a symbolic link/)
      assert.ok(!existsSync(target), 'it made what the link leads to')
      writeFileSync(target, SECRET, { mode: 0o600 })
      assertRefused(/is a symbolic link/)
      rmSync(place)
      linkSync(target, place)
      assertRefused(/has a second hard link/)
      rmSync(place)
      mkdirSync(place)
      assertRefused(/is not a regular file/)
      assert.equal(readFileSync(target, 'utf8'), SECRET)
      rmSync(place, { recursive: true })
      begin()
      assert.equal(modeOf(file + suffix.replace('.draft', '')), '600')
    })
  }

  it('when others can read the draft of the secret', (t) => {
    const { file } = openFolder(t)
    writeFileSync(`${file}.jwt-secret.draft`, '')
    chmodSync(`${file}.jwt-secret.draft`, 0o666)

    assert.throws(() => readSecrets({}, `${file}.jwt-secret`, () => {}), /Other users can write to .*draft/)
    assert.ok(!existsSync(`${file}.jwt-secret`))
  })

  it('by the program, with a message and exit code 1', async (t) => {
    const { file, folder, database } = openFolder(t)
    symlinkSync(join(folder, 'target'), `${file}.jwt-secret`)
    const program = spawnProgram(t, {}, database)

    assert.equal(await program.exited, 1)
    assert.match(program.errors(), /^\S+restante\.db\.jwt-secret is a symbolic link\. [^\n]+\n$/)
  })
})

describe("the server's own secret", () => {
  it('is made even if a killed start has left its draft', (t) => {
    const { file, folder } = openFolder(t)
    writeFileSync(`${file}.jwt-secret.draft`, 'hal', { mode: 0o600 })

    const { jwt } = readSecrets({}, `${file}.jwt-secret`, () => {})

    assert.equal(readFileSync(`${file}.jwt-secret`, 'utf8'), `${jwt[0]}\n`)
    assert.equal(jwt[0].length, 43)
    assert.deepEqual(readdirSync(folder), ['restante.db.jwt-secret'])
  })

  it('for push services is made once, and is a valid key', (t) => {
    const { file, folder } = openFolder(t)
    const read = (env = {}) => readKeyPairs(env, `${file}.vapid-keys`, () => {})

    const [{ publicKey, privateKey }] = read()

    assert.equal(Buffer.from(publicKey, 'base64url').length, 65)
    assert.equal(readFileSync(`${file}.vapid-keys`, 'utf8'), `${privateKey}\n`)
    assert.deepEqual(read(), [{ publicKey, privateKey }])
    const [given, old] = read({ VAPID_KEYS: `${Buffer.alloc(32, 7).toString('base64')},${privateKey}` })
    assert.equal(old?.publicKey, publicKey)
    assert.notEqual(given.publicKey, publicKey)
    assert.deepEqual(readdirSync(folder), ['restante.db.vapid-keys'])
    writeFileSync(`${file}.vapid-keys`, 'short\n')
    assert.throws(read, /vapid-keys: Expected private keys of 32 bytes each/)
  })

  it('is read, with a warning, when a group can read it and it belongs to root or the owner of the folder', (t) => {
    const { file } = openFolder(t)
    writeFileSync(`${file}.jwt-secret`, SECRET)
    chmodSync(`${file}.jwt-secret`, 0o640)
    // The file would belong to another user, and its mode could not be changed.
    t.mock.method(process as Required<typeof process>, 'getuid', () => 54_321)
    const warnings: string[] = []

    const { jwt } = readSecrets({}, `${file}.jwt-secret`, (warning) => warnings.push(warning))

    assert.equal(jwt[0], SECRET)
    assert.equal(modeOf(`${file}.jwt-secret`), '640', 'it was touched')
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /belongs to another user/)
  })

  it('is refused when it belongs to another user', (t) => {
    const { file } = openFolder(t)
    writeFileSync(`${file}.jwt-secret`, SECRET, { mode: 0o600 })
    // Only root can change the owner of a file. Without root, the test uses a file of its own.
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(`${file}.jwt-secret`, 1_234, 1_234)
    const read = () => readSecrets({}, `${file}.jwt-secret`, () => {})

    if (isRoot) assert.throws(read, /belongs to another user, 1234/)
    else assert.equal(read().jwt[0], SECRET)
  })
})
