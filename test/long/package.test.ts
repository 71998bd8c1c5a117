/**
 * The package of `npm pack`, and the folder of the image: each runs by itself, keeps the promises, and is
 * small.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { adaAndBob, Client } from '../support/client.ts'
import { noDatabaseYet, scratchFolder } from '../support/databases.ts'
import { atTheEnd, endOfSuite } from '../support/endings.ts'
import { park } from '../support/parked.ts'
import { type ServerProcess, spawnServer } from '../support/servers.ts'
import { shareCluster } from '../support/shared-cluster.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const MB = 1e6

/** The permitted files of the package: the program and the operator's documents. */
const SHIPPED = [
  /^dist\/bundle\/([\w.-]+\.js|THIRD-PARTY\.txt)$/,
  /^dist\/web\//,
  /^dist\/(openapi\.json|schema-engine\.wasm)$/,
  /^prisma\/migrations\/(sqlite|postgres)\/(\d+_\w+\/migration\.sql|migration_lock\.toml)$/,
  /^prisma\/before-0\.1\/\w+\.sql$/,
  /^docs\/\w+\.md$/,
  /^deploy\/(two-nodes\/)?[\w.]+$/,
  /^(package\.json|openapi\.yaml|README\.md|CHANGELOG\.md|SECURITY\.md|LICENSE|\.env\.example)$/,
]

/** Secrets that an operator keeps beside the files of deploy/, which must not be shipped. */
const SECRETS = ['deploy/two-nodes/.env', 'deploy/two-nodes/tls/privkey.pem']

async function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
  // The script is no test of the process to which this one reports.
  const { NODE_TEST_CONTEXT: _, ...clean } = env
  return promisify(execFile)(command, args, { cwd, env: clean, maxBuffer: 64 * MB }).catch((error) => {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`)
  })
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  )

const bytesOf = (folder: string) =>
  filesOf(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

/** The packages of a node_modules. */
const packagesOf = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(folder, name)).map((one) => `${name}/${one}`) : name,
    )

const inMb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`

/** Compares up to a megabyte. */
function isAsStated(what: string, bytes: number) {
  const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')
  const [, stated] = new RegExp(`(\\d+) MB ${what}`).exec(text) ?? []
  assert.ok(Math.abs(bytes / MB - Number(stated)) < 1, `${inMb(bytes)} ${what}`)
}

const ending = endOfSuite()

describe('what npm pack ships', () => {
  let packed: { filename: string; size: number; unpackedSize: number; files: { path: string }[] }
  let folder: string
  let said: string

  before(async () => {
    folder = scratchFolder(ending)
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], ROOT)
    packed = JSON.parse(stdout)[0]
    // A new folder with only the package. Newer versions of npm ask for this consent.
    const consent = { private: true, allowScripts: { 'better-sqlite3': true } }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(consent))
    const args = ['install', '--no-audit', '--no-fund', `./${packed.filename}`]
    said = (await run('npm', args, folder)).stderr
  })

  it("contains only the program and the operator's documents", () => {
    const paths = packed.files.map(({ path }) => path)
    assert.deepEqual(
      paths.filter((path) => !SHIPPED.some((pattern) => pattern.test(path))),
      [],
    )
    for (const pattern of SHIPPED)
      assert.ok(
        paths.some((path) => pattern.test(path)),
        `${pattern}`,
      )
  })

  it('is as small as CONTRIBUTING says, packed and unpacked', (t) => {
    const ours = bytesOf(join(folder, 'node_modules/restante'))
    const natives = bytesOf(join(folder, 'node_modules')) - ours
    t.diagnostic(`natives as npm installs them: ${inMb(natives)}`)
    isAsStated('packed', packed.size)
    isAsStated('unpacked', packed.unpackedSize)
  })

  it('installs without a warning, with only the native packages and their installers', () => {
    // Unknown npm settings of this machine do not concern the package.
    assert.equal(said.replaceAll(/^npm warn Unknown .+\n/gm, ''), '')
    const packages = packagesOf(join(folder, 'node_modules'))
    for (const name of ['restante', 'better-sqlite3', '@node-rs/argon2']) assert.ok(packages.includes(name))
    assert.deepEqual(
      packages.filter((name) => /fastify|prisma|^pg|ajv|commander|preact/.test(name)),
      [],
    )
  })

  it('names the licence of every package in the bundle', () => {
    const notices = readFileSync(join(folder, 'node_modules/restante/dist/bundle/THIRD-PARTY.txt'), 'utf8')
    for (const name of ['fastify', '@prisma/client', 'pg', 'preact', '@fastify/swagger-ui'])
      assert.match(notices, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+, (MIT|Apache-2.0)$`, 'm'))
  })

  it('starts from its own folder, and keeps its promises', async (t) => {
    const command = ['sh', '-c', 'cd "$0" && exec node_modules/.bin/restante start', folder]
    await keepsPromises(t, await spawnServer(t, {}, noDatabaseYet(t), command))
  })

  it('is installed as deploy/README.md says, beside other versions', async () => {
    const readme = readFileSync(join(ROOT, 'deploy/README.md'), 'utf8')
    const [, commands = ''] = /```sh\n(npm install --global [\s\S]+?)```/.exec(readme) ?? []
    const opt = join(folder, 'opt')
    mkdirSync(opt)
    const here = commands
      .replaceAll('/opt/', `${opt}/`)
      .replace('npm install', 'npm install --ignore-scripts')
    await run('sh', ['-ec', here], folder)
    // Compiling it again would take minutes.
    const [of, binary] = ['node_modules/better-sqlite3', 'build/Release/better_sqlite3.node']
    cpSync(join(folder, of, binary), join(opt, 'restante/lib/node_modules/restante', of, binary))

    const unit = readFileSync(join(ROOT, 'deploy/restante.service'), 'utf8')
    const [, program = ''] = /^ExecStart=\/opt\/(\S+) start$/m.exec(unit) ?? []
    assert.equal((await run(join(opt, program), ['version'], folder)).stdout, `${version}\n`)
    const backup = /exec \/opt\/(\S+) backup/.exec(readFileSync(join(ROOT, 'docs/operating.md'), 'utf8'))
    assert.equal(backup?.[1], program)
  })

  it('has the command, also as `npx restante`', async (t) => {
    const database = noDatabaseYet(t)
    const restante = (...args: string[]) => {
      const env = { PATH: process.env['PATH'], HOME: folder, DATABASE_URL: database }
      return run('npx', ['--no-install', 'restante', ...args], folder, env)
    }
    await (await spawnServer(t, {}, database)).stop()

    assert.equal((await restante('version')).stdout, `${version}\n`)
    assert.match((await restante('check')).stdout, /DATABASE_URL/)
    assert.deepEqual(JSON.parse((await restante('user', 'list', '--json')).stdout), [])
    await restante('backup', join(folder, 'backup.db'))
    assert.ok(statSync(join(folder, 'backup.db')).size > 0)
  })
})

describe('a checkout that is not built', () => {
  it('is built once, however many starts happen at once', async () => {
    const checkout = join(scratchFolder(ending), 'src')
    for (const path of letThrough()) cpSync(join(ROOT, path), join(checkout, path), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))

    const start = () => run('npm', ['--silent', 'start', '--', 'version'], checkout)
    const starts = await Promise.all([start(), start(), start()])

    assert.deepEqual(
      starts.map(({ stdout }) => stdout),
      Array(3).fill(`${version}\n`),
    )
    assert.equal(starts.filter(({ stderr }) => stderr.includes('Building Restante')).length, 1)
  })
})

describe('the folder of the image', () => {
  let folder: string

  before(async () => {
    const scratch = scratchFolder(ending)
    const checkout = join(scratch, 'src')
    for (const path of letThrough()) cpSync(join(ROOT, path), join(checkout, path), { recursive: true })
    for (const path of SECRETS) {
      mkdirSync(join(checkout, path, '..'), { recursive: true })
      writeFileSync(join(checkout, path), 'a secret')
    }
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
    folder = join(scratch, 'app')
    const [, command = ''] = /^RUN (npm run bundle -- \/app)$/m.exec(dockerfile) ?? []
    await run('sh', ['-c', command.replace('/app', folder)], checkout)
  })

  it('is made from the files that .dockerignore lets through, and contains no secret', () => {
    const names = filesOf(folder)
    for (const secret of SECRETS) assert.ok(!names.includes(secret), secret)
    const unknown = names.filter(
      (name) => !name.startsWith('node_modules/') && !SHIPPED.some((pattern) => pattern.test(name)),
    )
    assert.deepEqual(unknown, [])
  })

  it('has the native packages, ready to run, and is as small as CONTRIBUTING says', () => {
    const packages = packagesOf(join(folder, 'node_modules'))
    const [argon2 = ''] = packages.filter((name) => name.startsWith('@node-rs/argon2-'))
    assert.deepEqual(packages.sort(), [
      ...['@node-rs/argon2', argon2, 'better-sqlite3', 'bindings', 'file-uri-to-path'],
    ])
    isAsStated('in the image', bytesOf(folder))
  })

  it('starts with the command of the image, creates the database, and keeps its promises', async (t) => {
    const command = ['sh', '-c', `cd "$0" && exec ${imageCommand.join(' ')}`, folder]
    await keepsPromises(t, await spawnServer(t, {}, noDatabaseYet(t), command))
  })

  it('does so on PostgreSQL', async (t) => {
    const cluster = await shareCluster()
    atTheEnd(t, () => cluster.stop())
    const command = [process.execPath, join(folder, 'dist/bundle/main.js')]
    await keepsPromises(t, await spawnServer(t, {}, await cluster.createDatabase(), command))
  })
})

const dockerfile = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8')
const imageCommand = JSON.parse(/^CMD (\[.+\])$/m.exec(dockerfile)?.[1] ?? '[]') as string[]

/** The paths below the root that .dockerignore lets through. */
function letThrough(): string[] {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const wanted = lines.flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
  const names = readdirSync(ROOT)
  return wanted.flatMap((path) =>
    path.startsWith('*') ? names.filter((name) => name.endsWith(path.slice(1))) : path,
  )
}

/** Checks a new server: accounts, a message to a parked poll, the pages, and a clean stop. */
async function keepsPromises(t: TestContext, server: ServerProcess) {
  const { ada, bob } = await adaAndBob(server)
  const poll = await park(t, ada, 'wait=55')
  assert.equal((await bob.send(ada, 'Are you there?')).status, 201)
  const { body } = await poll.answer()
  assert.deepEqual(
    body.messages.map((message: { body: string }) => message.body),
    ['Are you there?'],
  )

  const health = await new Client(server).get('/healthz')
  assert.deepEqual(health.body, { status: 'ok', version })
  const pages = {
    '/': 'text/html',
    '/docs/': 'text/html',
    '/openapi.yaml': 'yaml',
    '/docs/clients.md': 'text/plain',
  }
  for (const [path, type] of Object.entries(pages)) {
    const response = await fetch(`${server.url}${path}`)
    assert.equal(response.status, 200, path)
    assert.match(response.headers.get('content-type') ?? '', new RegExp(type), path)
    assert.ok((await response.text()).length > 500, path)
  }
  const [script] = /assets\/main-[^"]+\.js/.exec(await (await fetch(`${server.url}/`)).text()) ?? []
  assert.equal((await fetch(`${server.url}/${script}`)).status, 200, basename(script ?? 'no script'))

  server.process.kill('SIGTERM')
  assert.equal(await server.exited, 0)
  assert.equal(server.errors(), '')
}
