import pg from 'pg'
import { configureConnection, connectionOptions } from './connection.ts'
import { prepareDatabase, unusable } from './prepare.ts'
import { moveOnAnyway } from './restores.ts'

/**
 * Moves every inbox of a PostgreSQL database on, migrated when needed.
 *
 * @returns how many inboxes were moved on
 * @throws DatabaseUnusable
 */
export async function moveOnDatabase(url: string): Promise<number> {
  const { schema } = await prepareDatabase(url)
  const client = new pg.Client(connectionOptions(url))
  try {
    await client.connect()
    await configureConnection(client, schema)
    return await moveOnAnyway(client)
  } catch (error) {
    throw unusable(url, error)
  } finally {
    await client.end()
  }
}
