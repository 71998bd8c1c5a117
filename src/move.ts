import { loadConfig } from './config/environment.ts'
import { ConfigurationError, isPostgres } from './config.ts'
import { moveToPostgres } from './database/move.ts'
import { endWith } from './operator/mistakes.ts'
import { makeFilesPrivate } from './private-files.ts'

makeFilesPrivate()

/** With the environment that the nodes will have, so that what they would refuse is refused here. */
try {
  const [path, ...more] = process.argv.slice(2)
  const {
    config: { databaseUrl },
    warnings,
  } = loadConfig(process.env)
  for (const warning of warnings) console.error(warning)
  if (!path || path.startsWith('-') || more.length > 0)
    throw new ConfigurationError(['Name the SQLite file to move: npm run move -- data/restante.db'])
  if (!isPostgres(databaseUrl))
    throw new ConfigurationError(['DATABASE_URL: Expected the PostgreSQL database to move to.'])
  const moved = await moveToPostgres(path, databaseUrl)
  const counts = Object.entries(moved).map(([table, rows]) => `${table} ${rows}`)
  console.log(`Moved ${path}, rows of each table: ${counts.join(', ')}.`)
  // The engine that migrates leaves a timer of 10 s behind, which would hold the process.
  process.exit(0)
} catch (error) {
  endWith(error)
}
