import { existsSync, readFileSync } from 'node:fs'
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
export function serveWebPage(app: FastifyInstance) {
  const list = new URL('files.json', folder)
  if (!existsSync(list))
    throw new ConfigurationError(['The web page is not built: run `npm run build`, or set WEB=off.'])
  // Synchronous, because nothing else runs yet: promises for forty files take 12 ms of processor time more.
  const read = (name: string | URL) => readFileSync(new URL(name, folder))
  for (const { path, type, hashed, encodings } of JSON.parse(read(list).toString()) as WebFile[])
    serveDocument(app, `/${path}`.replace(/(index)?\.html$/, ''), {
      type,
      content: read(path),
      compressed: Object.fromEntries(encodings.map((coding) => [coding, read(`${path}.${coding}`)])),
      immutable: hashed,
      headers: path.startsWith('docs') ? referenceHeaders : webHeaders,
    })
}
