import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { median } from './stats.ts'

/** f_type of file systems that keep everything in memory: tmpfs, ramfs. A sync costs nothing there. */
const IN_MEMORY = [0x01021994, 0x858458f6]

const SYNCS = 200
const PAGE_BYTES = 4_096

/** @throws Error when what is synced there never reaches a disk */
export function refuseMemoryDisk(folder: string): void {
  if (IN_MEMORY.includes(statfsSync(folder).type))
    throw new Error(`${folder} is in memory: durable sends must be measured on a disk.`)
}

/** What it is measured on, with what a synced write costs there: no durable answer comes sooner. */
export function describeMachine(folder: string): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores of ${cpu?.model.trim()}, ${memory} GiB, Node ${process.version}, a synced write of 4 KiB ${syncMs(folder).toFixed(2)} ms`
}

/** What it takes to append 4 KiB to a file there and to see it on the disk, in ms. */
export function syncMs(folder: string): number {
  const file = openSync(join(folder, 'sync'), 'w')
  const took = Array.from({ length: SYNCS }, () => {
    const startedAt = performance.now()
    writeSync(file, Buffer.alloc(PAGE_BYTES))
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
  closeSync(file)
  return median(took)
}
