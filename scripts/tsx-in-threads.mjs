/**
 * Lets worker threads run TypeScript too: tsx itself registers in the main thread alone
 * (github.com/privatenumber/tsx/issues/354). Goes with it as a second --import.
 */
import { isMainThread } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

if (!isMainThread) register()
