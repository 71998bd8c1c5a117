import { wasm } from '@prisma/client/runtime/query_compiler_small_bg.sqlite.wasm-base64.mjs'

/**
 * Prisma's compiled query compiler. As long as a process holds it, V8 shares it with the threads of the
 * process: without it, the database thread of each server takes 0.2 s of processor time to compile it.
 */
export const queryCompiler = new WebAssembly.Module(Buffer.from(wasm, 'base64'))
