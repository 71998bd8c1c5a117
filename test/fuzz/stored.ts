import assert from 'node:assert/strict'
import { isPostgres } from '../support/built.ts'
import { type Sql, withSql } from '../support/sql.ts'
import type { Somebody } from './people.ts'

/** Queries that must return no rows, and what such rows would mean. */
const NEVER: Record<string, string> = {
  'an inbox with missing or duplicate numbers': `
    SELECT account.id FROM account
      JOIN (SELECT recipient_id, count(*) AS stored, min(seq) AS oldest, max(seq) AS newest
              FROM message GROUP BY recipient_id) AS inbox ON inbox.recipient_id = account.id
     WHERE stored <> newest - oldest + 1 OR oldest <> purged_seq + 1`,
  'counters in the wrong order': `
    SELECT account.id, newest, newest_seq, acknowledged_seq, purged_seq FROM account
      LEFT JOIN (SELECT recipient_id, max(seq) AS newest FROM message GROUP BY recipient_id) AS inbox
        ON inbox.recipient_id = account.id
     WHERE acknowledged_seq > coalesce(newest, newest_seq) OR newest_seq > coalesce(newest, newest_seq)
        OR purged_seq > acknowledged_seq AND deleted_at IS NULL`,
  // The inbox of a deleted account is purged later, and unread.
  'a message without a sender or recipient': `
    SELECT message.id FROM message
      LEFT JOIN account AS sender ON sender.id = sender_id
      LEFT JOIN account AS recipient ON recipient.id = recipient_id
     WHERE sender.id IS NULL OR recipient.id IS NULL`,
  'a session without an account': `
    SELECT session.id FROM session LEFT JOIN account ON account.id = account_id
     WHERE account.id IS NULL OR deleted_at IS NOT NULL`,
  'an application token without an account': `
    SELECT application_token.id FROM application_token LEFT JOIN account ON account.id = account_id
     WHERE account.id IS NULL OR deleted_at IS NOT NULL`,
  'a push subscription without an account, or more than ten per account': `
    SELECT push_subscription.account_id
      FROM push_subscription JOIN account ON account.id = push_subscription.account_id
      JOIN session ON session.id = session_id
     GROUP BY push_subscription.account_id, deleted_at, session.account_id
    HAVING count(*) > 10 OR deleted_at IS NOT NULL OR session.account_id <> push_subscription.account_id`,
  'a session ahead of its inbox': `
    SELECT session.id FROM session JOIN account ON account.id = account_id
     WHERE session.acknowledged_seq > (SELECT coalesce(max(seq), newest_seq) FROM message WHERE recipient_id = account_id)`,
  'a size that differs from the texts': `
    SELECT message.id FROM message
      JOIN message AS last ON last.recipient_id = message.recipient_id AND last.seq = message.seq - 1
     WHERE message.bytes_before <> last.bytes_before + octet_length(last.body)`,
  'a wrong number of receipts': `
    SELECT message.id FROM message
      JOIN message AS last ON last.recipient_id = message.recipient_id AND last.seq = message.seq - 1
     WHERE message.receipts_before
        <> last.receipts_before + CASE WHEN last.receipt_for IS NULL THEN 0 ELSE 1 END`,
  'an expired message that is still stored': `
    SELECT message.id FROM message JOIN expired_message ON expired_message.id = message.id`,
  'a known address without an account': `
    SELECT account_id FROM known_address JOIN account ON account.id = account_id
     WHERE deleted_at IS NOT NULL`,
  'a key without an account': `
    SELECT key FROM idempotency_key LEFT JOIN account ON account.id = sender_id WHERE account.id IS NULL`,
  'a deleted account with a password': `
    SELECT id FROM account WHERE (deleted_at IS NULL) <> (password_hash IS NOT NULL)`,
}

/** Checks that the store of a stopped server is consistent, and matches its answers. */
export async function assertConsistent(database: string, people: Somebody[]): Promise<void> {
  await withSql(database, async (sql) => {
    if (!isPostgres(database)) await assertWhole(sql)
    for (const [what, statement] of Object.entries(NEVER))
      assert.deepEqual(await sql.run(statement), [], `There is ${what}.`)

    const living = await sql.run('SELECT username FROM account WHERE deleted_at IS NULL ORDER BY username')
    assert.deepEqual(
      living.map(({ username }) => username),
      people.map(({ username }) => username).sort(),
      'The accounts are those that were registered and not deleted.',
    )
    for (const { username, accepted } of people) {
      const [{ stored } = { stored: 0 }] = await sql.run(
        `SELECT count(*) AS stored FROM message JOIN account ON account.id = recipient_id
          WHERE username = ? AND receipt_for IS NULL`,
        username,
      )
      assert.equal(Number(stored), accepted, `Messages of ${username}`)
    }
  })
}

async function assertWhole(sql: Sql) {
  assert.deepEqual(await sql.run('PRAGMA integrity_check'), [{ integrity_check: 'ok' }])
  assert.deepEqual(await sql.run('PRAGMA foreign_key_check'), [])
}
