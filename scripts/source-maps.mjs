/**
 * Has failures tell the lines of the sources, in the main thread alone: with `--enable-source-maps` each
 * thread that a server starts reads the maps of the packages that it loads, which takes as long as the rest.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread) process.setSourceMapsEnabled(true)
