import { randomBytes } from 'node:crypto'
import { closeSync, realpathSync, renameSync, rmSync, type Stats, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { makePrivateFile } from '../../../private-files.ts'

/** Beside the database, named after its real path: the two processes may use different paths. */
const noteOf = (path: string) => `${realpathSync(path)}.last-backup`

/**
 * Writes the time of the last backup beside the SQLite file, for the metrics. Not into the file, which only
 * the server writes.
 *
 * @param owner if root writes it, the note gets the owner of this file
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
 * @returns ms since 1970; undefined when there is no readable note
 */
export async function lastBackupMs(path: string): Promise<number | undefined> {
  const text = await readFile(noteOf(path), 'utf8').catch(() => '')
  const ms = Date.parse(text.trim())
  return Number.isNaN(ms) ? undefined : ms
}
