/**
 * Compiles src to dist, web to dist/web, and bundles dist with its packages in dist/bundle. With --if-stale
 * only if that is missing or older than its sources. Concurrent builds run one after the other.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { load } from 'js-yaml'
import { buildBundle, copySchemaEngine } from './build-bundle.mjs'
import { buildWeb } from './build-web.mjs'
import { isStale, main, run } from './run.mjs'

/** A build takes a minute on a slow machine. */
const BUILD_MS_MAX = 600_000

const COMMON_JS = '"@prisma/client/runtime/client"'

await main(async () => {
  const inputs = [
    'src',
    'web',
    'client/src',
    'openapi.yaml',
    'prisma/schema.prisma',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build.mjs',
    'scripts/build-bundle.mjs',
    'scripts/build-web.mjs',
  ]
  const isDone = () => process.argv.includes('--if-stale') && !isStale('dist/bundle/main.js', inputs)
  if (isDone()) return
  const lock = holdAlone()
  // Another process may have built it meanwhile.
  if (isDone()) return

  // Otherwise silent for some seconds, on a slow machine for a minute.
  console.error('Building Restante. This is needed once per version.')
  await run('node scripts/generate.mjs --if-stale')
  // Remove files of renamed or removed sources.
  await rm('dist', { recursive: true, force: true })
  const webInputs = await buildWeb()
  await run('tsc -p tsconfig.build.json')
  await loadPrismaAsModule('dist/generated')
  await copySchemaEngine()
  await parseContract()
  // Last, because --if-stale checks dist/bundle/main.js.
  await buildBundle(webInputs)
  lock.close()
})

/** For src/contract/document.ts, which parses the YAML itself if the text is another one. */
async function parseContract() {
  const text = await readFile('openapi.yaml', 'utf8')
  await writeFile('dist/openapi.json', JSON.stringify({ text, document: load(text) }))
}

/**
 * Waits until no other process builds here. The lock is SQLite's, which is released when the process ends,
 * however it ends.
 */
function holdAlone() {
  const lock = new SqliteFile('node_modules/.restante-build.lock', { timeout: 0 })
  const take = () => lock.exec('BEGIN EXCLUSIVE')
  try {
    return take()
  } catch (error) {
    if (/** @type {{ code?: string }} */ (error).code !== 'SQLITE_BUSY') throw error
    console.error('Another process is building Restante here. Waiting for it.')
    lock.pragma(`busy_timeout = ${BUILD_MS_MAX}`)
    return take()
  }
}

/**
 * Makes Prisma's clients import its ES module. Its package exports the CommonJS version for Node, which takes
 * three times as long to load: a tenth of a second of every start.
 *
 * @param {string} folder
 */
async function loadPrismaAsModule(folder) {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'))
  const files = await Promise.all(
    names.map(async (name) => ({
      path: join(folder, name),
      text: await readFile(join(folder, name), 'utf8'),
    })),
  )
  const importing = files.filter(({ text }) => text.includes(COMMON_JS))
  if (importing.length === 0) throw new Error(`Nothing in ${folder} imports ${COMMON_JS}.`)
  for (const { path, text } of importing)
    await writeFile(path, text.replaceAll(COMMON_JS, '"@prisma/client/runtime/client.mjs"'))
}
