/**
 * Builds dist/bundle, which is what runs in production: dist, and every package that is JavaScript, in a few
 * files. The native packages, which are the `dependencies` of package.json, stay outside.
 */
import { chmod, copyFile, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const OUT = 'dist/bundle'
/** Where it is while it is not complete. */
const PART = 'dist/bundle.part'

/** The command, and the threads of SQLite, which start as files of their own. */
const ENTRIES = ['main', 'database/sqlite/thread']

/** Packages in CommonJS ask for Node's modules by `require`, which a module does not have. */
const BANNER = `import { createRequire as createRequireHere } from 'node:module'
const require = createRequireHere(import.meta.url)`

/** @param {string[]} webInputs the files that dist/web is made from */
export async function buildBundle(webInputs) {
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'))
  const { metafile } = await build({
    entryPoints: ENTRIES.map((name) => `dist/${name}.js`),
    outdir: PART,
    // All in one folder, as deep as the folders of src: paths from there to the package's root hold here too.
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
  // For npx in the checkout; npm does it for what it installs.
  await chmod(join(PART, 'main.js'), 0o755)
  await rename(PART, OUT)
}

/** The engine of the migrations is WebAssembly, which no bundle has inside. */
export const copySchemaEngine = () =>
  copyFile('node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm', 'dist/schema-engine.wasm')

/**
 * The licences of the packages in the bundle, which want to be handed on with it.
 *
 * @param {string[]} inputs paths
 */
async function notices(inputs) {
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
  const texts = [...new Set(folders)].map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)/i.test(file))
    const said = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
    return [`${name} ${version}, ${license}`, ...said.map((text) => text.trim())].join('\n\n')
  })
  return `${(await Promise.all(texts)).sort().join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
