import { execFile } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isPostgres } from './built.ts'
import { commandEnv, runRestante } from './command.ts'
import { fileOf, newDatabase, scratchFolder } from './databases.ts'
import type { Ending } from './endings.ts'
import { PROGRAM } from './program.ts'
import { type Row, type Sql, withSql } from './sql.ts'
import { tablesOf } from './stored.ts'

/**
 * Restores a database to the state of the backup. Resolves with its DATABASE_URL; may be called several
 * times.
 */
export type Restore = () => Promise<string>

/**
 * Backs up a database that a server may be using. On SQLite, the restored file replaces the database. On
 * PostgreSQL, the result of pg_dump and pg_restore is a new database in the same cluster, into which the note
 * of another cluster is written.
 */
export async function backUp(t: Ending, database: string): Promise<Restore> {
  return isPostgres(database) ? dump(t, database) : copy(t, database)
}

/** Restores without a trace in the database. */
export async function copyWithoutMark(t: Ending, database: string): Promise<Restore> {
  const restore = await backUp(t, database)
  return async () => {
    const restored = await restore()
    await withSql(restored, async ({ run }) => {
      if (isPostgres(restored)) await run('UPDATE store SET system_identifier = NULL')
      else await run('UPDATE store SET is_backup = ?', false)
    })
    return restored
  }
}

/** Fails the test when a program that should end serves instead. */
const PATIENCE_MS = 60_000

/** Runs the command `restante` as a process of its own. Rejects when it does not end with 0. */
export function spawnRestante(database: string, args: string[], env = {}) {
  return promisify(execFile)(process.execPath, [PROGRAM, ...args], {
    timeout: PATIENCE_MS,
    env: { PATH: process.env['PATH'] ?? '', ...commandEnv(database), ...env },
  })
}

async function copy(t: Ending, database: string): Promise<Restore> {
  const backup = join(scratchFolder(t), 'backup.db')
  await runRestante(database, ['backup', backup])
  return async () => {
    const file = fileOf(database)
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
    copyFileSync(backup, file)
    return database
  }
}

/** Variables of the process or of the place. */
const NOT_DUMPED = ['_prisma_migrations', 'node', 'presence']

async function dump(t: Ending, database: string): Promise<Restore> {
  const tables = await withSql(database, async (sql) => {
    await sql.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    const names = (await tablesOf(sql, database)).filter((name) => !NOT_DUMPED.includes(name))
    const dumped: [string, Row[]][] = []
    for (const name of names)
      dumped.push([name, await sql.run(`SELECT row_to_json("${name}") AS row FROM "${name}"`)])
    return dumped
  })
  return async () => {
    const restored = await newDatabase(t)
    await withSql(restored, async (sql) => {
      await sql.run('DELETE FROM store')
      await sql.run('SET LOCAL session_replication_role = replica')
      for (const [name, rows] of tables) await fill(sql, name, rows)
      await sql.run(`SELECT setval(pg_get_serial_sequence('account', 'id'), max(id)) FROM account`)
      await sql.run(`UPDATE store SET system_identifier = 'of another cluster'`)
    })
    return restored
  }
}

async function fill({ run }: Sql, name: string, rows: Row[]) {
  const json = JSON.stringify(rows.map(({ row }) => row))
  await run(`INSERT INTO "${name}" SELECT * FROM json_populate_recordset(NULL::"${name}", ?)`, json)
}
