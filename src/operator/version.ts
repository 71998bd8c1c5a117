import { readFileSync } from 'node:fs'

/** src/operator/, dist/operator/ and dist/bundle/ lie equally deep below the package's root. */
const FILE = new URL('../../package.json', import.meta.url)

let read: string | undefined

/** The version of this program, as package.json has it. */
export function version(): string {
  read ??= (JSON.parse(readFileSync(FILE, 'utf8')) as { version: string }).version
  return read
}
