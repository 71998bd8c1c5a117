/**
 * Enables source maps in the main thread only, so failures show source lines. With `--enable-source-maps`,
 * each thread of a server would also read the maps of the packages that it loads, which doubles its start
 * time.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread) process.setSourceMapsEnabled(true)
