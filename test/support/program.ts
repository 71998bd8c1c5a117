import { fileURLToPath } from 'node:url'

/** The program that is shipped: what the tests start as a process of its own. */
export const PROGRAM = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url))
