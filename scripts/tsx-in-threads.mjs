/**
 * Lets worker threads run TypeScript too: tsx itself registers in the main thread only
 * (github.com/privatenumber/tsx/issues/354). It is a second --import beside tsx.
 */
import { isMainThread } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

if (!isMainThread) register()
