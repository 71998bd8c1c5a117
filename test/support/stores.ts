import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Database, NewMessage, StoreLimits } from '../../src/database/database.ts'
import { openPostgres } from '../../src/database/postgres/open.ts'
import { unpack } from '../../src/database/sqlite/packed-page.ts'
import { openReader } from '../../src/database/sqlite/reader.ts'
import { openWriter } from '../../src/database/sqlite/writer.ts'
import { fileOf, onPostgres } from './databases.ts'

/** A store without a server. */
export async function openStore(database: string, limits: StoreLimits): Promise<Database> {
  if (onPostgres) return openPostgres(database, limits, { warn: assert.fail })
  const writer = await openWriter(fileOf(database), limits)
  const reader = openReader(fileOf(database))
  const close = async () => {
    await reader.verbs.close()
    await writer.verbs.close()
  }
  const readInbox: Database['readInbox'] = async (...args) => unpack(await reader.verbs.readInbox(...args))
  return { ...reader.verbs, ...writer.verbs, readInbox, close }
}

export const newMessage = (senderId: number, to: string, body: string): NewMessage => ({
  senderId,
  from: `sender ${senderId}`,
  to,
  id: randomUUID(),
  body,
  sentAtMs: Date.now(),
  live: false,
  wantsReceipt: false,
  idempotency: undefined,
})

/** Adds an account with a session. Resolves with its id, which is also that of the session. */
export async function addAccount(store: Database, username: string): Promise<number> {
  const nowMs = Date.now()
  const passwordHash = 'not to be checked'
  await store.createAccount({ username, displayName: username, passwordHash, createdAtMs: nowMs })
  const id = (await store.findAccount(username))?.id ?? assert.fail(`${username} is not there.`)
  await store.openSession(
    { id, passwordHash },
    {
      id: sessionIdOf(id),
      accountId: id,
      createdAtMs: nowMs,
      expiresAtMs: nowMs + 86_400_000,
      acknowledgedSeq: 0,
      offeredSeq: 0,
    },
    1,
  )
  return id
}

export const sessionIdOf = (accountId: number) => `session ${accountId}`
