import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin, transform } from 'esbuild'

const FOLDERS = ['test', 'bench', 'client/src', 'web/src']

/** An import of a source: a relative path, or the client's name in tsconfig.json. */
const IMPORT = /(\b(?:from|import\(|import)\s*)"(\.[^"]+\.ts|restante-client)"/g
const CLIENT = 'client/src/index.ts'

/**
 * Compiles changed sources of the tests to build/. Compiling in each test process would take as long as
 * loading the server. Imports of src refer to dist. The test files themselves are compiled into groups.
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
 * Bundles several test files into one program, each as a suite of its name, so the server is loaded once for
 * all.
 *
 * @returns the path of the program
 */
export async function compileGroup(name: string, files: string[]): Promise<string> {
  const target = join('build/groups', `${name}.mjs`)
  // `require` instead of `import`, so the suites of a file are nested in its own.
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
    plugins: [testsOnly(dirname(target))],
  })
  return target
}

/** Bundles test files only. Their imports are compiled files or packages, and stay external. */
const testsOnly = (folder: string): Plugin => ({
  name: 'tests only',
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

/** The path of a compiled source: build/test/support/sql.mjs for test/support/sql.ts. */
const compiledOf = (source: string): string =>
  source.startsWith('src/')
    ? source.replace(/^src(.*)\.ts$/, 'dist$1.js')
    : join('build', source.replace(/\.ts$/, '.mjs'))

async function compile(source: string) {
  const url = pathToFileURL(source).href
  const { code } = await transform(await readFile(source, 'utf8'), {
    loader: 'ts',
    target: 'node20',
    // So failures show the lines of the source: scripts/source-maps.mjs.
    sourcefile: url,
    sourcemap: 'inline',
    sourcesContent: false,
    // Paths relative to a file are relative to its source.
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
