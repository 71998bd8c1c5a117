/** Loaded into the built server by NODE_OPTIONS=--import: records the inodes of synced files. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { fsyncSync } = fs
fs.fsyncSync = (descriptor) => {
  fs.appendFileSync(process.env.SYNCED, `${fs.fstatSync(descriptor).ino}\n`)
  fsyncSync(descriptor)
}
syncBuiltinESMExports()
