import type { Command } from 'commander'
import { ConfigurationError, databaseFile, isPostgres } from '../config.ts'
import { inboxesContinue } from '../database/restores.ts'
import { secretFile, vapidFile } from '../secrets.ts'
import type { Context } from './context.ts'
import { examples } from './user-commands.ts'

/** `restante backup`, `restored` and `move` */
export function addDatabaseCommands(program: Command, context: Context): void {
  program
    .command('backup')
    .description('copy the SQLite database, also while the server runs; for PostgreSQL use pg_dump')
    .argument('<file>', 'where to write the copy; replaces an older backup, and no other file')
    .addHelpText('after', examples('restante backup /backup/restante.db'))
    .action((file: string) => backUp(context, file))

  program
    .command('restored')
    .description('continue all inboxes at higher numbers, after a restore that the server cannot notice')
    .addHelpText('after', examples('restante restored'))
    .action(async () => {
      const { databaseUrl } = context.load().config
      const moved = await (isPostgres(databaseUrl) ? onPostgres(databaseUrl) : onSqlite(databaseUrl))
      context.print(`${inboxesContinue(moved)}.`)
    })

  program
    .command('move')
    .description('copy a SQLite file into the empty PostgreSQL database that DATABASE_URL names')
    .argument('<file>', 'the SQLite file; no server may be using it')
    .addHelpText(
      'after',
      examples('DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/DATABASE restante move data/restante.db'),
    )
    .action((file: string) => move(context, file))
}

async function backUp(context: Context, file: string) {
  const {
    config: { databaseUrl, push },
    values,
  } = context.load()
  if (isPostgres(databaseUrl))
    throw new ConfigurationError([
      'DATABASE_URL names a PostgreSQL database. Back it up with pg_dump (docs/operating.md, "Backup and restore").',
    ])
  const { backUp } = await import('../database/sqlite/file/backup.ts')
  const path = databaseFile(databaseUrl)
  const bytes = backUp(path, file)
  context.print(`Copied ${path} to ${file}, ${bytes} bytes.`)
  const secret = values['JWT_SECRET'] ? 'JWT_SECRET' : secretFile(databaseUrl)
  context.say(
    `The copy does not contain the secret that signs tokens. It is in ${secret}: keep it elsewhere.`,
  )
  const keys = values['VAPID_KEYS'] ? 'VAPID_KEYS' : vapidFile(databaseUrl)
  if (push === 'on') context.say(`The same holds for the push key in ${keys}.`)
}

async function onPostgres(url: string): Promise<number> {
  const { skipNumbersIn } = await import('../database/postgres/after-restore.ts')
  return skipNumbersIn(url)
}

async function onSqlite(url: string): Promise<number> {
  const { useExclusively } = await import('../database/sqlite/file/exclusive.ts')
  const { skipNumbers } = await import('../database/sqlite/restores.ts')
  return useExclusively(databaseFile(url), skipNumbers)
}

/** Loads the settings that the nodes will use, so bad ones are refused before the move. */
async function move(context: Context, file: string) {
  const { databaseUrl } = context.load().config
  if (!isPostgres(databaseUrl))
    throw new ConfigurationError(['DATABASE_URL: Expected the PostgreSQL database to move to.'])
  const { moveToPostgres } = await import('../database/move-to-postgres.ts')
  const moved = await moveToPostgres(file, databaseUrl)
  const counts = Object.entries(moved).map(([table, rows]) => `${table} ${rows}`)
  context.print(`Moved ${file}, rows per table: ${counts.join(', ')}.`)
}
