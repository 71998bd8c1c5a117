/**
 * Runs TypeScript in the main thread alone. With `--import tsx` each thread that a process starts loads tsx
 * as well, which makes a start of the built server take half as long again. Goes in its place.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread) await import('tsx')
