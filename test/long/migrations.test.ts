/** test/migrations.test.ts detects a missing migration. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { driftOf, KINDS, schemaOf } from '../migrations/drift.ts'

for (const kind of KINDS) {
  const schema = schemaOf(kind.schema)

  describe(`the migrations for ${kind.name} lead to prisma/${kind.schema}`, () => {
    it('but not without a migration for a column', async (t) => {
      const changed = schema.replace('model Message {', 'model Message {\n  subject String?')

      assert.match(await driftOf(t, kind, changed), /ALTER TABLE "message" ADD COLUMN\s+"subject" TEXT/)
    })

    it('but not without a migration for an index', async (t) => {
      const changed = schema.replace('@@index([accountId])', '@@index([accountId, createdAt])')

      assert.match(await driftOf(t, kind, changed), /CREATE INDEX/)
    })
  })
}
