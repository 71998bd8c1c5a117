import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LINES_MAX = 250
const COLUMNS_MAX = 110

/** The entry points: the command, which may start the server, and the database threads. */
const PROCESSES = ['main.ts', 'start.ts']
const ENTRIES = ['main.ts', 'database/sqlite/thread.ts']

/**
 * The folders and files of src that each part may import. `packages` are the permitted packages; Node's own
 * modules are always permitted.
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
      'message-list.ts',
      'presence.ts',
      'problems.ts',
      'database/database.ts',
    ],
    packages: /^type fastify$/,
  },
  accounts: {
    may: ['clock.ts', 'database/database.ts', 'limits/address.ts', 'problems.ts'],
    // Signing and verifying is passed in; only its type is imported.
    packages: /^(@node-rs\/argon2|lru-cache|type @fastify\/jwt)$/,
  },
  inbox: {
    may: [
      'clock.ts',
      'database/database.ts',
      'deadlines.ts',
      'histogram.ts',
      'message-id.ts',
      'message-list.ts',
      'presence.ts',
      'problems.ts',
    ],
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
    may: ['accounts/sessions.ts', 'config.ts', 'closest-name.ts', 'problems.ts', 'generated/openapi.d.ts'],
    packages: /^(type fastify|(type )?ajv\/dist\/2020\.js|js-yaml)$/,
  },
  database: {
    may: [
      'private-files.ts',
      'sync-to-disk.ts',
      'clock.ts',
      'message-id.ts',
      'message-list.ts',
      'generated/prisma/client.ts',
      'generated/prisma-postgres/client.ts',
    ],
    packages: /^(type )?(@prisma\/[\w/-]+|better-sqlite3|pg)$/,
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
      'metrics',
      'open-database.ts',
      'private-files.ts',
      'problems.ts',
      'secrets.ts',
      'start-notice.ts',
    ],
    packages: /^(type )?commander$/,
  },
  metrics: { may: ['config.ts', 'histogram.ts'], packages: /^(type )?prom-client$/ },
  push: {
    may: [
      'accounts/sessions.ts',
      'clock.ts',
      'config/push.ts',
      'database/database.ts',
      'deadlines.ts',
      'limits/token-buckets.ts',
      'presence.ts',
      'problems.ts',
    ],
    packages: /^(web-push|ipaddr\.js|lru-cache)$/,
  },
  'open-push.ts': { may: ['config.ts', 'push', 'secrets.ts'], packages: /^$/ },
  'start-notice.ts': { may: ['config.ts'], packages: /^$/ },
  'open-database.ts': { may: ['config.ts', 'database'], packages: /^$/ },
  'histogram.ts': { may: [], packages: /^$/ },
  'clock.ts': { may: [], packages: /^$/ },
  'deadlines.ts': { may: [], packages: /^$/ },
  'message-id.ts': { may: [], packages: /^$/ },
  'message-list.ts': { may: ['clock.ts', 'database/batch.ts'], packages: /^$/ },
  'presence.ts': { may: ['clock.ts'], packages: /^$/ },
  'problems.ts': { may: [], packages: /^$/ },
  'config.ts': { may: ['config'], packages: /^$/ },
  config: { may: ['config.ts', 'closest-name.ts', 'private-files.ts'], packages: /^$/ },
  'closest-name.ts': { may: [], packages: /^$/ },
  'secrets.ts': {
    may: ['config.ts', 'config/push.ts', 'private-files.ts', 'sync-to-disk.ts'],
    packages: /^$/,
  },
  'private-files.ts': { may: [], packages: /^$/ },
  'sync-to-disk.ts': { may: [], packages: /^$/ },
}

interface Import {
  /** A file of src relative to its root, or a package, with the prefix `type ` if only types are imported. */
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

/** Whether a line of code contains a text. */
const isText = (line: string) => /['"`]/.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)

const partOf = (name: string) => name.split('/')[0] ?? name

test('imports point one way: a part imports only the parts listed for it', async (t) => {
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

  await t.test('and every part except the wiring is listed', () => {
    const parts = new Set(sources.map(partOf))
    for (const wiring of [...PROCESSES, 'server.ts', 'server-options.ts']) parts.delete(wiring)
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

test('only the entry points, and the owner of the files, use the process', () => {
  const known = [...PROCESSES, 'private-files.ts']
  for (const name of sources.filter((source) => !known.includes(source))) {
    assert.doesNotMatch(codeOf(name), /\bprocess\.\w|\bglobalThis\b|from 'node:process'|\bconsole\./, name)
  }
})

test('a path from a source is valid in dist/bundle, too, where all files are in one folder below dist', () => {
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
  // Assembled here, so that this file can be searched, too.
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
        // The formatter cannot break a quoted text.
        assert.ok(columns <= COLUMNS_MAX || isText(line), `${where} has ${columns} columns`)
        assert.doesNotMatch(line, FORBIDDEN, where)
        if (path.startsWith('test')) assert.doesNotMatch(line, SWITCHED_OFF, where)
      }
    })
  }
})

test('texts use the words of the glossary', async (t) => {
  const AVOIDED = /\b(whoever|lets? go of|(is|are|was|were|be|been) told)\b/i
  const WHO_TITLE = /\b(?:it|test|describe)\(['"`]who /
  const REMOVED = /\b(Sighting|HeldBack|SecondLook|Announcements|Surroundings|Standings|WayOut|Waiters)\b/
  const folders = ['src', 'client/src', 'web/src', 'test', 'scripts', 'bench']
  const files = folders.flatMap((folder) => filesBelow(folder).map((name) => join(folder, name)))
  const documents = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'openapi.yaml']
  const readmes = ['deploy/README.md', 'bench/README.md', 'client/README.md']

  for (const path of [...files, ...pages, ...readmes, ...documents.map((name) => `docs/${name}`)]) {
    if (path.includes('src/generated') || path.endsWith('tidy.test.ts')) continue
    await t.test(path, () => {
      for (const [index, line] of readFileSync(join(ROOT, path), 'utf8').split('\n').entries())
        for (const pattern of [AVOIDED, WHO_TITLE, REMOVED])
          assert.doesNotMatch(line, pattern, `${path}:${index + 1}`)
    })
  }
})
