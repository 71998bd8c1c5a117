import { loadConfig } from './config/environment.ts'
import { ConfigurationError, databaseFile, isPostgres } from './config.ts'
import { backUp } from './database/sqlite/backup.ts'
import { endWith } from './operator/mistakes.ts'
import { makeFilesPrivate } from './private-files.ts'
import { secretFile } from './secrets.ts'

makeFilesPrivate()

/** With the environment of the server, which may be running. */
try {
  const [file, ...more] = process.argv.slice(2)
  const {
    config: { databaseUrl },
    values,
    warnings,
  } = loadConfig(process.env)
  for (const warning of warnings) console.error(warning)
  if (isPostgres(databaseUrl))
    throw new ConfigurationError([
      'DATABASE_URL names a PostgreSQL database: back it up with pg_dump (docs/operating.md, "Backup and restore").',
    ])
  if (!file || file.startsWith('-') || more.length > 0)
    throw new ConfigurationError(['Name the file for the backup: npm run backup -- /backup/restante.db'])
  const path = databaseFile(databaseUrl)
  const bytes = backUp(path, file)
  console.log(`Copied ${path} to ${file}, ${bytes} bytes.`)
  const secret = values['JWT_SECRET'] ? 'JWT_SECRET' : secretFile(databaseUrl)
  console.error(`The secret that signs tokens is not in the copy, but in ${secret}: keep it elsewhere.`)
} catch (error) {
  endWith(error)
}
