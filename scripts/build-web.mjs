/**
 * Builds dist/web, which the server serves from memory: the page at `/` and the API reference at `/docs/`.
 * Lists the files in dist/web/files.json.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { build } from 'esbuild'

const OUT = 'dist/web'

/** Browsers of the last three years. */
const TARGET = ['chrome115', 'firefox115', 'safari17']

const TYPES = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  webmanifest: 'application/manifest+json; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  txt: 'text/plain; charset=utf-8',
}
/** The compressible types. */
const COMPRESSIBLE = ['html', 'js', 'css', 'webmanifest', 'svg']

/** The best quality only for smaller files, because it takes seconds per megabyte. */
const QUALITY_MAX_BYTES = 300_000

const compress = {
  br: (/** @type {Buffer} */ content) => {
    const quality = content.length > QUALITY_MAX_BYTES ? 9 : constants.BROTLI_MAX_QUALITY
    return promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } })
  },
  gzip: promisify(gzip),
}

/** @typedef {{ path: string, content: Buffer, hashed?: boolean }} WebFile `path` is relative to dist/web */

/** @returns {Promise<string[]>} the source files */
export async function buildWeb() {
  const { files: pageFiles, inputs } = await page()
  const files = [...pageFiles, ...(await reference())]
  await rm(OUT, { recursive: true, force: true })
  const list = await Promise.all(files.map(write))
  await writeFile(join(OUT, 'files.json'), JSON.stringify(list, undefined, 1))
  return [...inputs, 'node_modules/@fastify/swagger-ui/static/swagger-ui-bundle.js']
}

/**
 * The page: a script, a style sheet, icons and the manifest.
 *
 * @returns {Promise<{ files: WebFile[], inputs: string[] }>}
 */
async function page() {
  const entries = ['web/src/main.tsx', 'web/src/styles/index.css']
  const { metafile, outputFiles } = await bundle({ entryPoints: entries, entryNames: 'assets/[name]-[hash]' })
  const bundles = outputFiles.map(({ path, contents }) => ({
    path: path.slice(path.lastIndexOf('assets/')),
    content: Buffer.from(contents),
    hashed: true,
  }))
  let html = await readFile('web/index.html', 'utf8')
  for (const [output, { entryPoint = '' }] of Object.entries(metafile.outputs)) {
    const source = `"${entryPoint.replace(/^web\//, '')}"`
    if (!html.includes(source)) throw new Error(`web/index.html does not name ${source}.`)
    html = html.replace(source, `"${output.slice(output.lastIndexOf('assets/'))}"`)
  }
  const icons = await readdir('web/icons')
  const named = await Promise.all(
    ['manifest.webmanifest', 'favicon.ico', 'robots.txt', ...icons.map((name) => `icons/${name}`)].map(
      async (path) => ({
        path,
        content: await readFile(join('web', path)),
      }),
    ),
  )
  const files = [{ path: 'index.html', content: Buffer.from(html) }, ...bundles, ...named]
  const shell = files.filter(({ path }) => !/\.(png|ico|txt)$/.test(path))
  return { files: [...files, await worker(shell)], inputs: Object.keys(metafile.inputs) }
}

/**
 * The service worker, with the names of the files that it caches, and a version that changes with their
 * content.
 *
 * @param {WebFile[]} shell
 * @returns {Promise<WebFile>}
 */
async function worker(shell) {
  const paths = shell.map(({ path }) => (path === 'index.html' ? './' : path))
  const { outputFiles } = await bundle({
    entryPoints: ['web/src/sw.ts'],
    define: {
      SHELL_FILES: JSON.stringify(paths),
      SHELL_VERSION: JSON.stringify(hashOf(Buffer.concat(shell.map(({ content }) => content)))),
    },
  })
  return { path: 'sw.js', content: Buffer.from(outputFiles[0]?.contents ?? '') }
}

/**
 * The API reference: Swagger UI in our page. At /docs without a slash, a `<base>` makes its links relative to
 * /docs/.
 *
 * @returns {Promise<WebFile[]>}
 */
async function reference() {
  const ownFiles = await Promise.all(
    ['index.html', 'reference.css', 'reference.js'].map(async (name) => ({
      path: `docs/${name}`,
      content: await readFile(`web/docs/${name}`),
    })),
  )
  const html = ownFiles[0]?.content.toString() ?? ''
  const withBase = html.replace('<head>', '<head>\n<base href="docs/">')
  const folder = new URL('static/', import.meta.resolve('@fastify/swagger-ui'))
  const swaggerFiles = await Promise.all(
    ['swagger-ui.css', 'swagger-ui-bundle.js'].map(async (name) => ({
      path: `docs/static/${name}`,
      content: await readFile(new URL(name, folder)),
    })),
  )
  return [...ownFiles, { path: 'docs.html', content: Buffer.from(withBase) }, ...swaggerFiles]
}

/** @param {import('esbuild').BuildOptions} options */
const bundle = (options) =>
  build({
    bundle: true,
    minify: true,
    format: 'esm',
    target: TARGET,
    tsconfig: 'web/tsconfig.json',
    outdir: OUT,
    legalComments: 'none',
    logLevel: 'silent',
    ...options,
    write: false,
    metafile: true,
  })

/**
 * Writes a file and its compressed versions. Returns its entry in the list.
 *
 * @param {WebFile} file
 */
async function write({ path, content, hashed = false }) {
  const ending = path.slice(path.lastIndexOf('.') + 1)
  const type = TYPES[/** @type {keyof typeof TYPES} */ (ending)]
  if (!type) throw new Error(`web/${path} has an unknown type.`)
  await mkdir(dirname(join(OUT, path)), { recursive: true })
  await writeFile(join(OUT, path), content)
  const encodings = COMPRESSIBLE.includes(ending) ? Object.entries(compress) : []
  for (const [encoding, shrink] of encodings)
    await writeFile(join(OUT, `${path}.${encoding}`), await shrink(content))
  return { path, type, hashed, encodings: encodings.map(([encoding]) => encoding) }
}

/** @param {Buffer} content */
const hashOf = (content) => createHash('sha256').update(content).digest('base64url').slice(0, 22)
