/** Goes into the built server by NODE_OPTIONS=--import: the thread of its database dies as it begins. */
import { isMainThread } from 'node:worker_threads'

if (!isMainThread)
  process.nextTick(() => {
    throw new Error('The thread has died.')
  })
