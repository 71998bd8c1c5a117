import type pg from 'pg'
import type { Database, Invite, ListedAccount } from '../database.ts'
import { type Row, withoutNulls } from '../rows.ts'
import { msOf, timestampOf } from './fragments.ts'

type AdministrationReads = Pick<
  Database,
  'listAccounts' | 'findListedAccount' | 'isInviteValid' | 'listInvites'
>

/** How many numbers behind this one were skipped at a restore. */
const skippedBehind = (seq: string) => `
  (SELECT coalesce(sum(to_seq - greatest(from_seq - 1, ${seq})), 0)::bigint
     FROM restored_range WHERE account_id = account.id AND to_seq > ${seq})`

/** Nothing is counted message by message, so a full inbox costs no more than an empty one. */
const LISTED_ACCOUNT = `
SELECT id, username, display_name AS "displayName", ${msOf('created_at')} AS "createdAtMs",
       ${msOf('last_seen_at')} AS "lastSeenAtMs", ${msOf('last_login_at')} AS "lastLoginAtMs",
       ${msOf('disabled_at')} AS "disabledAtMs",
       (SELECT count(*) FROM session
         WHERE account_id = account.id AND expires_at > ${timestampOf('$1::bigint')}) AS sessions,
       jsonb_build_object(
         'newest', newest_seq, 'acknowledged', acknowledged_seq,
         'unread', newest_seq - read - ${skippedBehind('read')} - coalesce(receipts - (
           SELECT receipts_before FROM message
            WHERE recipient_id = account.id AND seq > read ORDER BY seq LIMIT 1), 0)) AS inbox,
       newest_seq - purged_seq - ${skippedBehind('purged_seq')} AS stored
  FROM account CROSS JOIN LATERAL (SELECT greatest(acknowledged_seq, purged_seq) AS read) AS reading
 WHERE deleted_at IS NULL`

const ACCOUNTS_AFTER = `${LISTED_ACCOUNT} AND id > $2 ORDER BY id LIMIT $3`
const ACCOUNT_BY_NAME = `${LISTED_ACCOUNT} AND username = $2`

const VALID_INVITE = `
SELECT FROM invite
 WHERE hash = $1 AND used < uses AND (expires_at IS NULL OR expires_at > ${timestampOf('$2::bigint')})`

const INVITES = `
SELECT id, note, uses, used, ${msOf('created_at')} AS "createdAtMs", ${msOf('expires_at')} AS "expiresAtMs"
  FROM invite ORDER BY id`

/** What only the operator's commands read, and the look-up of an invite. */
export function administrationReads(pool: pg.Pool): AdministrationReads {
  const listed = async (text: string, values: unknown[]) =>
    (await pool.query<Row<ListedAccount>>(text, values)).rows.map(withoutNulls<ListedAccount>)

  return {
    listAccounts: (afterId, limit, nowMs) => listed(ACCOUNTS_AFTER, [nowMs, afterId, limit]),
    findListedAccount: async (username, nowMs) => (await listed(ACCOUNT_BY_NAME, [nowMs, username]))[0],
    isInviteValid: async (hash, nowMs) =>
      (await pool.query(VALID_INVITE, [Buffer.from(hash), nowMs])).rows.length > 0,
    listInvites: async () => (await pool.query<Row<Invite>>(INVITES)).rows.map(withoutNulls<Invite>),
  }
}
