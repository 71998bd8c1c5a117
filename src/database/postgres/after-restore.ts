import pg from 'pg'
import { configureConnection, connectionOptions } from './connection.ts'
import { prepareDatabase, unusable } from './prepare.ts'
import { skipNumbersAnyway } from './restores.ts'

/**
 * Skips numbers in every inbox of a PostgreSQL database, which is migrated when needed: the command
 * `restante restored`.
 *
 * @returns how many inboxes skip numbers
 * @throws DatabaseUnusable
 */
export async function skipNumbersIn(url: string): Promise<number> {
  const { schema } = await prepareDatabase(url)
  const client = new pg.Client(connectionOptions(url))
  try {
    await client.connect()
    await configureConnection(client, schema)
    return await skipNumbersAnyway(client)
  } catch (error) {
    throw unusable(url, error)
  } finally {
    await client.end()
  }
}
