import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { ConfigurationError } from '../config.ts'
import { type Coding, serveDocument } from './documents.ts'
import { referenceHeaders, webHeaders } from './web-headers.ts'

/** Built by scripts/build-web.mjs. src/http/, dist/http/ and dist/bundle/ lie equally deep below the root. */
const folder = new URL('../../dist/web/', import.meta.url)

/** A line of files.json. */
interface WebFile {
  /** Relative to the folder. */
  path: string
  /** A media type. */
  type: string
  /** Whether the path contains a hash of the content. */
  hashed: boolean
  /** Its precompressed codings, in files with `.br` or `.gzip` appended. */
  encodings: Coding[]
}

/**
 * Serves the files of the page and of the API reference from memory, below `/`.
 *
 * @throws ConfigurationError when they are not built
 */
export async function serveWebPage(app: FastifyInstance) {
  const list = await readFile(new URL('files.json', folder), 'utf8').catch(() => {
    throw new ConfigurationError(['The web page is not built: run `npm run build`, or set WEB=off.'])
  })
  const read = (name: string) => readFile(new URL(name, folder))
  await Promise.all(
    (JSON.parse(list) as WebFile[]).map(async ({ path, type, hashed, encodings }) => {
      const compressed = await Promise.all(
        encodings.map(async (coding) => [coding, await read(`${path}.${coding}`)] as const),
      )
      serveDocument(app, `/${path}`.replace(/(index)?\.html$/, ''), {
        type,
        content: await read(path),
        compressed: Object.fromEntries(compressed),
        immutable: hashed,
        headers: path.startsWith('docs') ? referenceHeaders : webHeaders,
      })
    }),
  )
}
