import { commonReads } from '../common-reads.ts'
import type { Database } from '../database.ts'
import { openStatements } from './connection.ts'
import { sleeperReads } from './push-hints.ts'
import { DIALECT, queriesOn } from './queries.ts'
import { inboxReader, type ReadInbox } from './read-inbox.ts'

/** The verbs of the reader. */
export type ReadVerbs = ReturnType<typeof commonReads> &
  ReturnType<typeof sleeperReads> & { readInbox: ReadInbox } & Pick<Database, 'close'>

/** Opens a connection that reads beside the writer's, each time from a snapshot of what is committed. */
export function openReader(path: string) {
  const connection = openStatements(path)
  connection.pragma('query_only = ON')
  const verbs: ReadVerbs = {
    ...commonReads(queriesOn(connection), DIALECT),
    ...sleeperReads(connection),
    readInbox: inboxReader(connection),
    close: async () => void connection.close(),
  }
  return { verbs }
}
