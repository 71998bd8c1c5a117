/**
 * Loaded into the built server by --import. Ends one of its database threads, named in the query of this
 * module's URL: `at-start-…` at once, others when the process gets SIGWINCH, which is otherwise unused.
 */
import { isMainThread, workerData } from 'node:worker_threads'

const [, wanted] = import.meta.url.split('?')
const signals = new BroadcastChannel('SIGWINCH')
signals.unref()

if (isMainThread) process.on('SIGWINCH', () => signals.postMessage('end'))
else {
  const { role } = workerData
  if (wanted === `at-start-${role}`) process.exit(7)
  if (wanted === role) signals.onmessage = () => process.exit(7)
}
