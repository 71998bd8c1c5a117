import { openReader as openConnection } from './connection.ts'
import { type ReadVerbs, readVerbs } from './read-verbs.ts'

/** Opens a connection beside the writer's, which has made and migrated the file. */
export function openReader(path: string) {
  const connection = openConnection(path)
  const close = async () => void connection.close()
  return {
    verbs: { ...readVerbs(connection), close } satisfies ReadVerbs & { close: () => Promise<void> },
    before: () => {},
    after: () => {},
  }
}
