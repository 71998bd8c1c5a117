/**
 * Writes what is derived: prisma/schema.postgres.prisma, and src/generated with the types of openapi.yaml and
 * Prisma's clients. With --if-stale only when they are out of date.
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
  // Last, because its age tells whether everything here is up to date.
  await writeFile(types, contract)
})

/**
 * A schema has one provider, and the models are to be written once. SQLite counts rows in 64 bits whatever
 * the column is called; PostgreSQL must be told so where there may be more than 2^31. What only PostgreSQL
 * has stands in a comment, and what only SQLite has, a column or a model, says so.
 */
async function deriveSchema() {
  const schema = await readFile('prisma/schema.prisma', 'utf8')
  const derived = schema
    .replace('provider = "sqlite"', 'provider = "postgresql"')
    .replace('generated/prisma"', 'generated/prisma-postgres"')
    .replace(/(?<=model IdempotencyKey {[^}]*?)Int {3}( +@id)/, 'BigInt$1')
    .replaceAll(/(?<=^ +)\/\/ PostgreSQL: /gm, '')
    .replaceAll(/^model \w+ { \/\/ SQLite\n[^}]*}/gm, (model) => model.replaceAll(/^(?=.)/gm, '// '))
    .replaceAll(/^( +)(\S.*) \/\/ SQLite$/gm, '$1// $2')
  await writeFile(
    'prisma/schema.postgres.prisma',
    `// Derived from schema.prisma by \`npm run generate\`: change that one.\n${derived}`,
  )
}

/**
 * Generating needs no engine, but the command line looks for its binary and would download it: any executable
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
