import { defineConfig } from 'prisma/config'

// Only the prisma command line reads this (`generate`, `migrate status`); the server takes its own configuration.
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations/sqlite' },
  datasource: { url: process.env['DATABASE_URL'] ?? 'file:./data/restante.db' },
})
