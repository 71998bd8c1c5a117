import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LINES_MAX = 250
const COLUMNS_MAX = 110

/** What runs: the command, which may start the server, and the threads of its database. */
const PROCESSES = ['main.ts', 'start.ts']
const ENTRIES = ['main.ts', 'database/sqlite/thread.ts', 'database/sqlite/checkpoint-thread.ts']

/**
 * What each part of src may import of the others: a folder, or a file of it. `package` allows what is not of
 * this project; Node's own modules are allowed to all.
 */
const ARROWS: Record<string, { may: string[]; packages: RegExp }> = {
  operations: {
    may: [
      'clock.ts',
      'accounts',
      'inbox',
      'limits',
      'push',
      'contract',
      'presence.ts',
      'problems.ts',
      'database/database.ts',
    ],
    packages: /^type fastify$/,
  },
  accounts: {
    may: ['clock.ts', 'database/database.ts', 'limits/address.ts', 'problems.ts'],
    // How tokens are signed and verified is given from outside; only its type is known here.
    packages: /^(@node-rs\/argon2|lru-cache|type @fastify\/jwt)$/,
  },
  inbox: {
    may: ['clock.ts', 'database/database.ts', 'histogram.ts', 'message-id.ts', 'presence.ts', 'problems.ts'],
    packages: /^lru-cache$/,
  },
  nodes: {
    may: [
      'accounts/sessions.ts',
      'accounts/application-tokens.ts',
      'inbox/mailboxes.ts',
      'presence.ts',
      'database/shared-database.ts',
    ],
    packages: /^$/,
  },
  limits: { may: ['clock.ts', 'problems.ts'], packages: /^(@fastify\/proxy-addr|ipaddr\.js|lru-cache)$/ },
  contract: {
    may: ['accounts/sessions.ts', 'config.ts', 'nearest.ts', 'problems.ts', 'generated/openapi.d.ts'],
    packages: /^(type fastify|(type )?ajv\/dist\/2020\.js|js-yaml)$/,
  },
  database: {
    may: [
      'private-files.ts',
      'sync.ts',
      'clock.ts',
      'message-id.ts',
      'generated/prisma/client.ts',
      'generated/prisma-postgres/client.ts',
    ],
    packages: /^((type )?(@prisma\/[\w/-]+|better-sqlite3|pg)|uuid)$/,
  },
  http: {
    may: [
      'accounts',
      'inbox',
      'limits',
      'contract',
      'config.ts',
      'histogram.ts',
      'problems.ts',
      'database/database.ts',
    ],
    packages: /^(type )?(fastify|@fastify\/cors)$/,
  },
  operator: {
    may: [
      'accounts',
      'config.ts',
      'config',
      'contract',
      'database',
      'histogram.ts',
      'open-database.ts',
      'private-files.ts',
      'problems.ts',
      'secrets.ts',
    ],
    packages: /^(type )?(commander|prom-client)$/,
  },
  push: {
    may: [
      'accounts/sessions.ts',
      'clock.ts',
      'config/push.ts',
      'database/database.ts',
      'inbox/deadlines.ts',
      'limits/token-buckets.ts',
      'presence.ts',
      'problems.ts',
    ],
    packages: /^(web-push|ipaddr\.js|lru-cache)$/,
  },
  'open-push.ts': { may: ['config.ts', 'push', 'secrets.ts'], packages: /^$/ },
  'open-database.ts': { may: ['config.ts', 'database'], packages: /^$/ },
  'histogram.ts': { may: [], packages: /^$/ },
  'clock.ts': { may: [], packages: /^$/ },
  'message-id.ts': { may: [], packages: /^$/ },
  'presence.ts': { may: ['clock.ts'], packages: /^$/ },
  'problems.ts': { may: [], packages: /^$/ },
  'config.ts': { may: ['config'], packages: /^$/ },
  config: { may: ['config.ts', 'nearest.ts', 'private-files.ts'], packages: /^$/ },
  'nearest.ts': { may: [], packages: /^$/ },
  'secrets.ts': { may: ['config.ts', 'config/push.ts', 'private-files.ts', 'sync.ts'], packages: /^$/ },
  'private-files.ts': { may: [], packages: /^$/ },
  'sync.ts': { may: [], packages: /^$/ },
}

interface Import {
  /**
   * As it stands: a file of src from its root, or a package, `type ` before it where only types are imported.
   */
  target: string
  ours: boolean
}

const filesBelow = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.[mc]?[jt]sx?$/.test(name),
  )

const sources = filesBelow('src').filter((name) => !name.startsWith('generated'))
const textOf = (name: string) => readFileSync(join(ROOT, 'src', name), 'utf8')
const codeOf = (name: string) => textOf(name).replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')

function importsOf(name: string): Import[] {
  const statements = textOf(name).matchAll(
    /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/gm,
  )
  return [...statements].map(([, type, specifier, dynamic]) => {
    const target = specifier ?? dynamic ?? ''
    const ours = target.startsWith('.')
    return { target: ours ? normalize(join(dirname(name), target)) : `${type ? 'type ' : ''}${target}`, ours }
  })
}

/** Whether a line is code around a text. */
const isText = (line: string) => /['"`]/.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)

const partOf = (name: string) => name.split('/')[0] ?? name

test('arrows point one way: a part imports only what it may know', async (t) => {
  for (const name of sources) {
    const arrows = ARROWS[partOf(name)]
    if (!arrows) continue
    await t.test(name, () => {
      for (const { target, ours } of importsOf(name)) {
        const allowed = ours
          ? partOf(target) === partOf(name) ||
            arrows.may.some((part) => target === part || partOf(target) === part)
          : target.replace(/^type /, '').startsWith('node:') || arrows.packages.test(target)
        assert.ok(allowed, `${name} must not import ${target}`)
      }
    })
  }

  await t.test('and every part but the wiring is listed', () => {
    const parts = new Set(sources.map(partOf))
    for (const wiring of [...PROCESSES, 'server.ts', 'surroundings.ts']) parts.delete(wiring)
    assert.deepEqual([...parts].sort(), Object.keys(ARROWS).sort())
  })
})

test('only database/ knows Prisma and SQL', async (t) => {
  const SQL = /\b(?:SELECT\s+.+\s+FROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|PRAGMA)\b/
  for (const name of sources.filter((source) => !source.startsWith('database/'))) {
    await t.test(name, () => {
      assert.doesNotMatch(codeOf(name), SQL)
      for (const { target } of importsOf(name)) assert.doesNotMatch(target, /prisma|sqlite3/i)
    })
  }
})

test('only what is begun as a process, and whose its files are, knows the process', () => {
  const known = [...PROCESSES, 'private-files.ts']
  for (const name of sources.filter((source) => !known.includes(source))) {
    assert.doesNotMatch(codeOf(name), /\bprocess\.\w|\bglobalThis\b|from 'node:process'|\bconsole\./, name)
  }
})

test('a path from a source holds in dist/bundle too, where all files are in one folder below dist', () => {
  const paths = sources.flatMap((name) =>
    [...textOf(name).matchAll(/new URL\(\s*[`']([^`'$]+)[^,]*, import\.meta\.url/g)].map(([, path = '']) => ({
      name,
      path,
    })),
  )
  assert.ok(paths.length > 4)
  for (const { name, path } of paths) {
    const toRoot = path.startsWith('../../') && name.split('/').length === 2
    // The threads are entries of the bundle.
    assert.ok(toRoot || /^\.\/([a-z]+-)?thread$/.test(path), `${name}: ${path}`)
  }
})

test('every file of src is part of the server', () => {
  const reached = new Set<string>()
  const visit = (name: string) => {
    if (reached.has(name)) return
    reached.add(name)
    for (const { target, ours } of importsOf(name)) if (ours && !target.startsWith('generated')) visit(target)
  }
  ENTRIES.forEach(visit)

  assert.deepEqual([...sources].sort(), [...reached].sort())
})

test('a file of src, client or web is one idea, and short', () => {
  const others = ['client/src', 'web/src'].flatMap((folder) =>
    filesBelow(folder).map((name) => `${folder}/${name}`),
  )
  const paths = [...sources.map((name) => `src/${name}`), ...others].filter(
    (path) => !path.includes('src/generated'),
  )
  const linesOf = (path: string) => readFileSync(join(ROOT, path), 'utf8').trimEnd().split('\n').length
  const long = paths.map((path) => ({ path, lines: linesOf(path) })).filter(({ lines }) => lines > LINES_MAX)

  assert.deepEqual(long, [])
})

test('no line is wider than a page, and no word says that something is unfinished', async (t) => {
  // Put together here, so that this file may be searched too.
  const FORBIDDEN = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`)
  const SWITCHED_OFF = new RegExp(
    `\\.(${['only', 'skip', 'todo'].join('|')})\\(|\\b(${['only', 'skip', 'todo'].join('|')}): true`,
  )
  const folders = ['src', 'client/src', 'web', 'test', 'bench', 'scripts'].filter((folder) =>
    existsSync(join(ROOT, folder)),
  )

  for (const path of folders.flatMap((folder) => filesBelow(folder).map((name) => join(folder, name)))) {
    if (path.includes('src/generated')) continue
    await t.test(path, () => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      for (const [index, line] of text.split('\n').entries()) {
        const where = `${relative(ROOT, join(ROOT, path))}:${index + 1}`
        const columns = [...line].length
        // The formatter breaks code where it can; a text in quotes it cannot.
        assert.ok(columns <= COLUMNS_MAX || isText(line), `${where} has ${columns} columns`)
        assert.doesNotMatch(line, FORBIDDEN, where)
        if (path.startsWith('test')) assert.doesNotMatch(line, SWITCHED_OFF, where)
      }
    })
  }
})

test('texts have the words of the glossary', async (t) => {
  const AVOIDED = /\b(whoever|lets? go of|(is|are|was|were|be|been) told)\b/i
  const WHO_TITLE = /\b(?:it|test|describe)\(['"`]who /
  const REMOVED = /\b(Sighting|HeldBack|SecondLook|Announcements|Waiters)\b/
  const folders = ['src', 'client/src', 'web/src', 'test', 'scripts']
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'openapi.yaml', 'docs/clients.md']
  const files = folders.flatMap((folder) => filesBelow(folder).map((name) => join(folder, name)))

  for (const path of [...files, ...pages, 'docs/decisions.md', 'docs/durability.md', 'docs/security.md']) {
    if (path.includes('src/generated') || path.endsWith('tidy.test.ts')) continue
    await t.test(path, () => {
      for (const [index, line] of readFileSync(join(ROOT, path), 'utf8').split('\n').entries())
        for (const pattern of [AVOIDED, WHO_TITLE, REMOVED])
          assert.doesNotMatch(line, pattern, `${path}:${index + 1}`)
    })
  }
})
