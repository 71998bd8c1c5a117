import { closeSync, fsyncSync, openSync } from 'node:fs'

/**
 * Waits until a file or folder is on the disk. A name that was made or changed is there after a power cut
 * only when its folder is synced.
 */
export function syncToDisk(path: string): void {
  const opened = openSync(path, 'r')
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}
