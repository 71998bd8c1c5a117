/**
 * Builds dist/bundle, which runs in production: dist and all pure JavaScript packages in a few files. The
 * native packages, which are the `dependencies` of package.json, stay external.
 */
import { chmod, copyFile, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const OUT = 'dist/bundle'
/** The folder of an incomplete bundle. */
const PART = 'dist/bundle.part'

/** The command, and the threads of SQLite, which are started by file name. */
const ENTRIES = ['main', 'database/sqlite/thread']

/** CommonJS packages call `require`, which ES modules do not have. */
const BANNER = `import { createRequire as createRequireHere } from 'node:module'
const require = createRequireHere(import.meta.url)`

/** @param {string[]} webInputs the sources of dist/web */
export async function buildBundle(webInputs) {
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'))
  const { metafile } = await build({
    entryPoints: ENTRIES.map((name) => `dist/${name}.js`),
    outdir: PART,
    // One folder, as deep as the folders of src, so relative paths to the package's root are the same.
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: Object.keys(dependencies),
    banner: { js: BANNER },
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  await writeFile(
    join(PART, 'THIRD-PARTY.txt'),
    await notices([...Object.keys(metafile.inputs), ...webInputs]),
  )
  // For npx in the checkout. For installed packages npm does it.
  await chmod(join(PART, 'main.js'), 0o755)
  await rename(PART, OUT)
}

/** Copies the migration engine, which is WebAssembly and cannot be bundled. */
export const copySchemaEngine = () =>
  copyFile('node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm', 'dist/schema-engine.wasm')

/**
 * Returns the licences of the packages in the bundle, which must be distributed with it.
 *
 * @param {string[]} inputs paths
 */
async function notices(inputs) {
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
  const texts = [...new Set(folders)].map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)/i.test(file))
    const licences = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
    return [`${name} ${version}, ${license}`, ...licences.map((text) => text.trim())].join('\n\n')
  })
  return `${(await Promise.all(texts)).sort().join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
