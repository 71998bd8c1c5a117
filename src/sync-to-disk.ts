import { closeSync, fsyncSync, openSync } from 'node:fs'

/**
 * Syncs a file or folder to disk. A new or changed name survives a power cut only when its folder is synced.
 */
export function syncToDisk(path: string): void {
  const opened = openSync(path, 'r')
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}
