/**
 * Failures name the lines of the sources, in the main thread only: with `--enable-source-maps` each thread of
 * a server reads the maps of the packages that it loads, which takes as long as everything else.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread) process.setSourceMapsEnabled(true)
