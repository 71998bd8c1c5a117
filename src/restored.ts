import { loadConfig } from './config/environment.ts'
import { ConfigurationError, databaseFile, isPostgres } from './config.ts'
import { endWith } from './operator/mistakes.ts'
import { makeFilesPrivate } from './private-files.ts'

makeFilesPrivate()

/** After a restore that the server cannot notice by itself, with the server's environment. */
try {
  if (process.argv.length > 2) throw new ConfigurationError(['npm run restored takes no arguments.'])
  const {
    config: { databaseUrl },
    warnings,
  } = loadConfig(process.env)
  for (const warning of warnings) console.error(warning)
  const moved = isPostgres(databaseUrl) ? await onPostgres(databaseUrl) : await onSqlite(databaseUrl)
  console.log(`${moved} inboxes go on at higher numbers.`)
  // The engine that migrates leaves a timer of 10 s behind, which would hold the process.
  process.exit(0)
} catch (error) {
  endWith(error)
}

async function onPostgres(url: string): Promise<number> {
  const { moveOnDatabase } = await import('./database/postgres/restored.ts')
  return moveOnDatabase(url)
}

async function onSqlite(url: string): Promise<number> {
  const { useAlone } = await import('./database/sqlite/alone.ts')
  const { moveOn } = await import('./database/sqlite/restores.ts')
  return useAlone(databaseFile(url), moveOn)
}
