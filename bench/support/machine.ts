import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { median } from './measure.ts'
import { killAll } from './processes.ts'

/** A folder in data/. When this process exits, the folder is deleted and all started processes are killed. */
export function scratchFolder(): string {
  mkdirSync('data', { recursive: true })
  const folder = mkdtempSync(join('data', 'bench-'))
  process.once('exit', () => {
    killAll()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  return folder
}

/** @throws Error when the folder is in memory: durable sends must be measured on a disk */
export function describeMachine(folder: string): string {
  const writeMs = syncMs(folder)
  if (writeMs < 0.01) throw new Error('The folder data/ is in memory, where a synced write costs nothing.')
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${memory} GiB, Node ${process.version}, a synced write of 4 KiB ${writeMs.toFixed(2)} ms`
}

/** How long a synced write of 4 KiB takes there, in ms: no durable answer can be faster. */
export function syncMs(folder: string): number {
  const file = openSync(join(folder, 'sync'), 'w')
  const times = Array.from({ length: 200 }, () => {
    const startedAt = performance.now()
    writeSync(file, Buffer.alloc(4_096))
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
  closeSync(file)
  return median(times)
}
