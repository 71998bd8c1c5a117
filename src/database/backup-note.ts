import { randomBytes } from 'node:crypto'
import { closeSync, realpathSync, renameSync, rmSync, type Stats, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { makePrivateFile } from '../private-files.ts'

/** Beside the database, under its real name: both processes may know it by another one. */
const noteOf = (path: string) => `${realpathSync(path)}.last-backup`

/**
 * Notes beside a SQLite file when its last backup was taken, for the metrics of its server. Not in the file,
 * which belongs to the server.
 *
 * @param owner where root notes it, the note belongs to the owner of this
 */
export function noteBackup(path: string, takenAtMs: number, owner: Pick<Stats, 'uid' | 'gid'>): void {
  const note = noteOf(path)
  const draft = `${note}.${randomBytes(6).toString('hex')}.partial`
  const made = makePrivateFile(draft, owner)
  try {
    writeFileSync(made, `${new Date(takenAtMs).toISOString()}\n`)
    renameSync(draft, note)
  } finally {
    closeSync(made)
    rmSync(draft, { force: true })
  }
}

/**
 * When the last backup of a SQLite file was taken.
 *
 * @returns ms since 1970; undefined when there is no note of one, or none that can be read
 */
export async function lastBackupMs(path: string): Promise<number | undefined> {
  const text = await readFile(noteOf(path), 'utf8').catch(() => '')
  const ms = Date.parse(text.trim())
  return Number.isNaN(ms) ? undefined : ms
}
