import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin, transform } from 'esbuild'

const FOLDERS = ['test', 'bench', 'client/src', 'web/src']

/** An import of a source: relative, or by the name that tsconfig.json has for the client. */
const IMPORT = /(\b(?:from|import\(|import)\s*)"(\.[^"]+\.ts|restante-client)"/g
const CLIENT = 'client/src/index.ts'

/**
 * Compiles what the tests are made of to build/, those sources that have changed. To do that in each process
 * of a test takes the processor as long as to load the server. What they import of src is in dist already,
 * and the files of tests themselves go into groups.
 */
export async function compileTests(): Promise<void> {
  const names = FOLDERS.map(async (folder) =>
    (await readdir(folder, { recursive: true })).map((name) => join(folder, name)),
  )
  const sources = (await Promise.all(names)).flat().filter((name) => /(?<!\.d|\.test)\.ts$/.test(name))
  const compilerMs = await changedAtMs('scripts/compile-tests.ts')
  await Promise.all(
    sources.map(async (source) => {
      const neededMs = Math.max(compilerMs, await changedAtMs(source))
      if ((await changedAtMs(compiledOf(source))) < neededMs) await compile(source)
    }),
  )
}

/**
 * Makes one program of several files of tests, each a suite of its name: a process that has loaded the server
 * once runs them all.
 *
 * @returns where it is
 */
export async function compileGroup(name: string, files: string[]): Promise<string> {
  const target = join('build/groups', `${name}.mjs`)
  // Required, and not imported, so that a file's suites are made within its own.
  const suites = files.map((file) => `describe('${file}', () => { require('./${file}') })`)
  await build({
    stdin: { contents: ["import { describe } from 'node:test'", ...suites].join('\n'), resolveDir: '.' },
    outfile: target,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    plugins: [testsAlone(dirname(target))],
  })
  return target
}

/** Takes in the files of tests, and leaves out all that they import, which is compiled, or a package. */
const testsAlone = (folder: string): Plugin => ({
  name: 'tests alone',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /./ }, ({ kind, path, importer }) => {
      if (kind === 'require-call') return { path: resolve(path) }
      if (path !== 'restante-client' && !path.startsWith('.')) return { path, external: true }
      const source = path.startsWith('.') ? resolve(dirname(importer), path) : resolve(CLIENT)
      return { path: relative(folder, compiledOf(relative('.', source))), external: true }
    })
    onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replaceAll(
        'import.meta.url',
        JSON.stringify(pathToFileURL(path).href),
      ),
      loader: 'ts',
    }))
  },
})

/** Where a source is when it is compiled: test/support/sql.ts in build/test/support/sql.mjs. */
const compiledOf = (source: string): string =>
  source.startsWith('src/')
    ? source.replace(/^src(.*)\.ts$/, 'dist$1.js')
    : join('build', source.replace(/\.ts$/, '.mjs'))

async function compile(source: string) {
  const url = pathToFileURL(source).href
  const { code } = await transform(await readFile(source, 'utf8'), {
    loader: 'ts',
    target: 'node20',
    // A failure tells the file and the line of the source: scripts/source-maps.mjs.
    sourcefile: url,
    sourcemap: 'inline',
    sourcesContent: false,
    // What a file looks for beside itself is beside its source.
    define: { 'import.meta.url': JSON.stringify(url) },
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  const target = compiledOf(source)
  const withImports = code.replaceAll(IMPORT, (_, before: string, path: string) => {
    const imported = compiledOf(path.startsWith('.') ? join(dirname(source), path) : CLIENT)
    return `${before}"${relative(dirname(target), imported).replace(/^(?!\.)/, './')}"`
  })
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, withImports)
}

/** 0 when there is no such file. */
const changedAtMs = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
