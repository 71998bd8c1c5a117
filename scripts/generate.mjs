/**
 * Generates prisma/schema.postgres.prisma, and src/generated with the types of openapi.yaml and Prisma's
 * clients. With --if-stale only if they are out of date.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isStale, main, run } from './run.mjs'

await main(async () => {
  const inputs = ['openapi.yaml', 'prisma/schema.prisma', 'package-lock.json', 'scripts/generate.mjs']
  const types = 'src/generated/openapi.d.ts'
  if (process.argv.includes('--if-stale') && !isStale(types, inputs)) return

  await rm('src/generated', { recursive: true, force: true })
  await mkdir('src/generated', { recursive: true })
  await deriveSchema()
  const clients = [client('schema.prisma'), client('schema.postgres.prisma')]
  const [contract] = await Promise.all([contractTypes(), ...clients])
  await mkdir('client/src/generated', { recursive: true })
  await writeFile('client/src/generated/openapi.d.ts', contract)
  // Last, because --if-stale checks its age.
  await writeFile(types, contract)
})

/** A Prisma schema has only one provider. The models are the same for both databases. */
async function deriveSchema() {
  const schema = await readFile('prisma/schema.prisma', 'utf8')
  const derived = schema
    .replace('provider = "sqlite"', 'provider = "postgresql"')
    .replace('generated/prisma"', 'generated/prisma-postgres"')
  await writeFile(
    'prisma/schema.postgres.prisma',
    `// Derived from schema.prisma by \`npm run generate\`: edit that file.\n${derived}`,
  )
}

/**
 * Generating needs no engine, but the CLI would download its binary if it did not find an executable: any
 * will do.
 *
 * @param {string} schema
 */
function client(schema) {
  const env = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
  return run(`prisma generate --no-hints --schema=prisma/${schema}`, env)
}

async function contractTypes() {
  const { default: openapiTS, astToString, COMMENT_HEADER } = await import('openapi-typescript')
  const nodes = await openapiTS(new URL('../openapi.yaml', import.meta.url), { silent: true })
  return COMMENT_HEADER + astToString(nodes)
}
