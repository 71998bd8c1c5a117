/**
 * Writes src/generated: the types of openapi.yaml and Prisma's client. With --if-stale only when they are out
 * of date.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { isStale, main, run } from './run.mjs'

await main(async () => {
  const inputs = ['openapi.yaml', 'prisma/schema.prisma', 'package-lock.json', 'scripts/generate.mjs']
  const types = 'src/generated/openapi.d.ts'
  if (process.argv.includes('--if-stale') && !isStale(types, inputs)) return

  await rm('src/generated', { recursive: true, force: true })
  await mkdir('src/generated', { recursive: true })
  // Generating needs no engine, but the command line looks for its binary and would download it: any
  // executable will do.
  const client = run('prisma generate --no-hints', { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath })
  const [contract] = await Promise.all([contractTypes(), client])
  // Last, because its age tells whether everything here is up to date.
  await writeFile(types, contract)
})

async function contractTypes() {
  const { default: openapiTS, astToString, COMMENT_HEADER } = await import('openapi-typescript')
  const nodes = await openapiTS(new URL('../openapi.yaml', import.meta.url), { silent: true })
  return COMMENT_HEADER + astToString(nodes)
}
