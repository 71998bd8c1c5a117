/** Compiles src to dist. With --if-stale only when dist is missing or older than what it is made of. */
import { rm } from 'node:fs/promises'
import { isStale, main, run } from './run.mjs'

await main(async () => {
  const inputs = [
    'src',
    'openapi.yaml',
    'prisma/schema.prisma',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ]
  if (process.argv.includes('--if-stale') && !isStale('dist/main.js', inputs)) return

  await run('node scripts/generate.mjs --if-stale')
  // What was renamed or removed in src must not live on.
  await rm('dist', { recursive: true, force: true })
  await run('tsc -p tsconfig.build.json')
})
