import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const FOLDERS = ['test', 'bench', 'client/src', 'web/src']

/** Where the groups of test files are. */
const GROUPS = 'build/groups'

const OPTIONS = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // A failure names the file and the line of the source: scripts/source-maps.mjs.
  sourcemap: 'inline',
  sourcesContent: false,
} satisfies BuildOptions

/**
 * Compiles the sources of the tests that have changed to build/. Compiling them in each process of a test
 * takes as long as loading the server. What they import of src is in dist already, and test files go into
 * groups.
 */
export async function compileTests(): Promise<void> {
  const names = FOLDERS.map(async (folder) =>
    (await readdir(folder, { recursive: true })).map((name) => join(folder, name)),
  )
  const sources = (await Promise.all(names)).flat().filter((name) => /(?<!\.d|\.test)\.ts$/.test(name))
  const compilerMs = await changedAtMs('scripts/compile-tests.ts')
  const stale = await Promise.all(
    sources.map(async (source) => {
      const neededMs = Math.max(compilerMs, await changedAtMs(source))
      return (await changedAtMs(compiledOf(source))) < neededMs ? [source] : []
    }),
  )
  await build({
    ...OPTIONS,
    entryPoints: stale.flat(),
    outbase: '.',
    outdir: 'build',
    outExtension: { '.js': '.mjs' },
    plugins: [compiledApart((source) => dirname(compiledOf(source)))],
  })
}

/**
 * Makes one program of several test files, each a suite of its name: a process that has loaded the server
 * once runs them all.
 *
 * @param fileMsMax the time for each file, after which its tests are cancelled
 * @returns the path of the program
 */
export async function compileGroup(name: string, files: string[], fileMsMax: number): Promise<string> {
  const target = join(GROUPS, `${name}.mjs`)
  // Required instead of imported, so that a file's suites are made within its own.
  const suites = files.map(
    (file) => `describe('${file}', { timeout: ${fileMsMax} }, () => { require('./${file}') })`,
  )
  await build({
    ...OPTIONS,
    stdin: { contents: ["import { describe } from 'node:test'", ...suites].join('\n'), resolveDir: '.' },
    outfile: target,
    plugins: [compiledApart(() => GROUPS)],
  })
  return target
}

/**
 * Takes in the sources that are named, and leaves out everything that they import: that is compiled by
 * itself, or a package.
 *
 * @param folderOf where the output of a source lies
 */
const compiledApart = (folderOf: (source: string) => string): Plugin => ({
  name: 'compiled apart',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /./ }, ({ kind, path, importer }) => {
      if (kind === 'entry-point' || kind === 'require-call') return { path: resolve(path) }
      const imported = path === 'restante-client' ? resolve('client/src/index.ts') : path
      if (!/^[./]/.test(imported)) return { path, external: true }
      const source = relative('.', resolve(dirname(importer), imported))
      const target = relative(folderOf(relative('.', importer)), compiledOf(source))
      return { path: target.replace(/^(?!\.)/, './'), external: true }
    })
    // Files that a test looks for beside itself lie beside its source.
    onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replaceAll(
        'import.meta.url',
        JSON.stringify(pathToFileURL(path).href),
      ),
      loader: 'ts',
    }))
  },
})

/** The path of a compiled source: build/test/support/sql.mjs for test/support/sql.ts. */
const compiledOf = (source: string): string =>
  source.startsWith('src/')
    ? source.replace(/^src(.*)\.ts$/, 'dist$1.js')
    : join('build', source.replace(/\.ts$/, '.mjs'))

/** 0 when there is no such file. */
const changedAtMs = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
