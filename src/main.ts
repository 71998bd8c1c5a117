#!/usr/bin/env node
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runCommand } from './operator/command.ts'
import { makeFilesPrivate } from './private-files.ts'

const NODE_MIN = [20, 19] as const

// Parked polls make V8 pretenure request objects. Short-lived sends then survive until a full GC, and a send
// takes up to a third more processor time: docs/decisions.md.
setFlagsFromString('--no-allocation-site-pretenuring')

makeFilesPrivate()
refuseOldNode()

let serves = false
let isPipeClosed = false
// The reader closed the pipe, as in `restante user list | head`. A server shuts down cleanly and exits with
// 1, so its supervisor restarts it with a log. Further writes during the shutdown fail the same way.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && !serves) process.exit(0)
  if (isPipeClosed) return
  isPipeClosed = true
  throw error
})

const exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  start: async () => {
    serves = true
    await (await import('./start.ts')).start()
  },
})
if (exitCode !== undefined) {
  if (process.stdout.writableLength > 0) await once(process.stdout, 'drain')
  // The migration engine leaves a timer of 10 s, which would keep the process alive.
  process.exit(exitCode)
}

/** package.json says so too, but npm only warns. */
function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  console.error(`Restante needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}.`)
  process.exit(1)
}
