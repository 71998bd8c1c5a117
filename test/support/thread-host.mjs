/** A thread of recycled-threads.mjs. Each message is the work of another `Worker`. */
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'

const { parentPort: owner } = threads
let workers = 0

owner?.on('message', async ({ file, workerData, port }) => {
  Object.assign(threads, { parentPort: port, workerData })
  syncBuiltinESMExports()
  workers += 1
  // The file itself runs again; what it imports is loaded.
  await import(`${file}?${workers}`)
  // It could not open the database, and may still have the file open. Only the end of the thread closes it.
  if (port.listenerCount('message') === 0) process.exit()
  port.once('close', () => owner.postMessage('closed'))
})
