/**
 * Compiles client/src to client/dist, with the types of the contract. Run it before `npm pack` in client/.
 */
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { main, run } from './run.mjs'

await main(async () => {
  await run('node scripts/generate.mjs --if-stale')
  await rm('client/dist', { recursive: true, force: true })
  await run('tsc -p client/tsconfig.json')
  await mkdir('client/dist/generated')
  await copyFile('client/src/generated/openapi.d.ts', 'client/dist/generated/openapi.d.ts')
})
