import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transform } from 'esbuild'

const FOLDERS = ['test', 'bench', 'client/src', 'web/src']

/** An import of a source: relative, or by the name that tsconfig.json has for the client. */
const IMPORT = /(\b(?:from|import\(|import)\s*)"(\.[^"]+\.ts|restante-client)"/g
const CLIENT = 'client/src/index.ts'

/**
 * Compiles what the tests are made of to build/, those sources that have changed. To do that in each process
 * of a test takes the processor as long as to load the server. What they import of src is in dist already.
 */
export async function compileTests(): Promise<void> {
  const names = FOLDERS.map(async (folder) =>
    (await readdir(folder, { recursive: true })).map((name) => join(folder, name)),
  )
  const sources = (await Promise.all(names)).flat().filter((name) => /(?<!\.d)\.ts$/.test(name))
  const compilerMs = await changedAtMs('scripts/compile-tests.ts')
  await Promise.all(
    sources.map(async (source) => {
      const neededMs = Math.max(compilerMs, await changedAtMs(source))
      if ((await changedAtMs(compiledOf(source))) < neededMs) await compile(source)
    }),
  )
}

/** Where a source is when it is compiled: test/nodes.test.ts in build/test/nodes.test.mjs. */
export const compiledOf = (source: string): string =>
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
