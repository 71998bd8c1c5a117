import type SqliteFile from 'better-sqlite3'
import type { Database, Invite, ListedAccount } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { NEWEST_SEQ, READ_OR_SKIPPED, READ_SEQ, RECEIPTS } from './inboxes.ts'

type AdministrationReads = Pick<
  Database,
  'listAccounts' | 'findListedAccount' | 'isInviteValid' | 'listInvites'
>

/** A row of SQLite: flat. */
type AccountRow = Row<Omit<ListedAccount, 'inbox'> & ListedAccount['inbox']>

/** Counts come from counters instead of messages, so a full inbox costs no more than an empty one. */
const LISTED_ACCOUNT = `
SELECT id, username, display_name AS displayName, created_at AS createdAtMs, last_seen_at AS lastSeenAtMs,
       last_login_at AS lastLoginAtMs, disabled_at AS disabledAtMs,
       (SELECT count(*) FROM session WHERE account_id = account.id AND expires_at > @nowMs) AS sessions,
       ${NEWEST_SEQ} AS newest, acknowledged_seq AS acknowledged,
       ${NEWEST_SEQ} - (${READ_OR_SKIPPED}) - coalesce(${RECEIPTS} - (
         SELECT receipts_before FROM message
          WHERE recipient_id = account.id AND seq > ${READ_SEQ} ORDER BY seq LIMIT 1), 0) AS unread,
       ${NEWEST_SEQ} - purged_seq - coalesce((
         SELECT sum(to_seq - max(from_seq - 1, purged_seq)) FROM restored_range
          WHERE account_id = account.id AND to_seq > purged_seq), 0) AS stored
  FROM account WHERE deleted_at IS NULL`

/** Reads for the operator's commands, and the look-up of an invite. */
export function administrationReads(connection: SqliteFile.Database): AdministrationReads {
  const accountsAfter = connection.prepare<{ afterId: number; limit: number; nowMs: number }, AccountRow>(
    `${LISTED_ACCOUNT} AND id > @afterId ORDER BY id LIMIT @limit`,
  )
  const accountByName = connection.prepare<{ username: string; nowMs: number }, AccountRow>(
    `${LISTED_ACCOUNT} AND username = @username`,
  )
  const validInvite = connection.prepare<[hash: Uint8Array, nowMs: number]>(
    'SELECT 1 FROM invite WHERE hash = ? AND used < uses AND (expires_at IS NULL OR expires_at > ?)',
  )
  const invites = connection.prepare<[], Row<Invite>>(
    `SELECT id, note, uses, used, created_at AS createdAtMs, expires_at AS expiresAtMs
       FROM invite ORDER BY id`,
  )

  return {
    listAccounts: async (afterId, limit, nowMs) =>
      accountsAfter.all({ afterId, limit, nowMs }).map(toListedAccount),
    findListedAccount: async (username, nowMs) => {
      const row = accountByName.get({ username, nowMs })
      return row && toListedAccount(row)
    },
    isInviteValid: async (hash, nowMs) => validInvite.get(hash, nowMs) !== undefined,
    listInvites: async () => invites.all().map(withoutNulls<Invite>),
  }
}

function toListedAccount({ newest, acknowledged, unread, ...row }: AccountRow): ListedAccount {
  return { ...withoutNulls<Omit<ListedAccount, 'inbox'>>(row), inbox: { newest, acknowledged, unread } }
}
