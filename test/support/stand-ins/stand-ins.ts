import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratchFolder } from '../databases.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Those of curl and jq that this machine does not have. */
export const missingCommands = () =>
  ['curl', 'jq'].filter((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0)

/** A PATH on which these commands are our own. */
export function pathWith(t: TestContext, standIns: string[]): string {
  const folder = scratchFolder(t)
  for (const command of standIns) {
    const program = `#!/bin/sh\nexec '${process.execPath}' '${HERE}${command}.mjs' "$@"\n`
    writeFileSync(join(folder, command), program, { mode: 0o755 })
  }
  return [folder, process.env['PATH']].join(delimiter)
}
