/**
 * Lets worker threads run TypeScript, because tsx registers only in the main thread
 * (github.com/privatenumber/tsx/issues/354). Use it with tsx, as an --import of its own.
 */
import { isMainThread } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

if (!isMainThread) register()
