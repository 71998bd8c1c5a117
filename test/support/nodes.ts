import { Client, Person } from './client.ts'
import type { Ending } from './endings.ts'
import { type Env, type RunningServer, startServer } from './servers.ts'

/** Starts two nodes of one database, in this process. */
export const startNodes = (t: Ending, database: string, env: Env = {}) =>
  Promise.all([startServer(t, env, database), startServer(t, env, database)])

/** The same person, with the same token, on another node. */
export const at = (node: Pick<RunningServer, 'url'>, { username, token, cursor }: Person) =>
  new Person(new Client(node), username, token, cursor)

/** The URL of the database at another port: through a proxy, or in another cluster. */
export function through(proxy: { port: number }, database: string): string {
  const url = new URL(database)
  url.port = String(proxy.port)
  return url.href
}
