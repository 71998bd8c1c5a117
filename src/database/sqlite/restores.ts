import type SqliteFile from 'better-sqlite3'
import { nextNumberAt, SKIP_MIN } from '../restores.ts'
import { NEWEST_SEQ } from './inbox-expressions.ts'

/**
 * Skips numbers in every inbox when the file is a copy made by a backup. Removes the mark in the same
 * transaction.
 *
 * @returns how many inboxes skip numbers; undefined when the file has no mark
 */
export function skipNumbersIfBackup(file: SqliteFile.Database): number | undefined {
  const isMarked = file.prepare<[], number>('SELECT is_backup FROM store WHERE id = 1').pluck().get() === 1
  return isMarked ? skipNumbers(file) : undefined
}

/**
 * Skips enough numbers in every inbox that none given out before is used again.
 *
 * @returns how many inboxes skip numbers
 */
export function skipNumbers(file: SqliteFile.Database): number {
  const skip = file.prepare<{ next: number; min: number }>(
    `INSERT INTO restored_range (account_id, from_seq, to_seq)
     SELECT id, newest + 1, iif(newest < @next, @next, newest + @min)
       FROM (SELECT id, ${NEWEST_SEQ} AS newest FROM account WHERE deleted_at IS NULL)`,
  )
  const raise = file.prepare(
    `UPDATE account SET newest_seq = (SELECT max(to_seq) FROM restored_range WHERE account_id = account.id)
      WHERE deleted_at IS NULL`,
  )
  const raiseFloor = file.prepare<{ next: number; min: number }>(
    'UPDATE store SET is_backup = 0, floor_seq = iif(floor_seq < @next, @next, floor_seq + @min)',
  )
  const run = file.transaction(() => {
    const numbers = { next: nextNumberAt(Date.now()), min: SKIP_MIN }
    const { changes } = skip.run(numbers)
    raise.run()
    raiseFloor.run(numbers)
    return changes
  })
  return run.immediate()
}
