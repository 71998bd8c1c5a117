import { readFileSync } from 'node:fs'

/** src/config/, dist/config/ and dist/bundle/ lie equally deep below the package's root. */
const FILE = new URL('../../package.json', import.meta.url)

let cached: string | undefined

/** The version of this program, from package.json. */
export function version(): string {
  cached ??= (JSON.parse(readFileSync(FILE, 'utf8')) as { version: string }).version
  return cached
}
