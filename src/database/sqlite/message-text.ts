import type SqliteFile from 'better-sqlite3'

/** Of `sent_at` what Date's toISOString makes of it, in half the time of SQLite's own strftime. */
const SENT_AT = `replace(datetime(sent_at / 1000.0, 'unixepoch', 'subsec'), ' ', 'T') || 'Z'`

/**
 * A message as a row of one text: columns, objects and a step for each cost more than the row. It is the JSON
 * that goes to its reader but for what SQL takes long for, see `messageText`.
 */
export const ROW_TEXT = `json_object('seq', message.seq, 'id', lower(hex(id)), 'from', sender_id, 'body', body,
                                     'sentAt', ${SENT_AT})`

const ID = '"id":"'
const HEX_DIGITS = 32
const FROM = '","from":'

/** Senders whose names are kept, about a megabyte. */
const NAMES_MAX = 10_000

/**
 * Makes the JSON of a message out of its ROW_TEXT: its id as UUIDs are written, which takes SQL three times
 * as long, and its sender by name. A join with the accounts took a sixth of the time of a read; names can be
 * kept, because no account changes its name and none leaves the table.
 */
export function messageText(connection: SqliteFile.Database): (rowText: string) => string {
  const findName = connection
    .prepare<[accountId: number], string>('SELECT username FROM account WHERE id = ?')
    .pluck()
  const names = new Map<number, string>()

  function nameOf(accountId: number): string {
    const known = names.get(accountId)
    if (known !== undefined) return known
    const name = findName.get(accountId)
    if (name === undefined) throw new Error(`There is no account ${accountId}.`)
    if (names.size === NAMES_MAX) names.clear()
    names.set(accountId, name)
    return name
  }

  return (text) => {
    const id = text.indexOf(ID) + ID.length
    const [a, b, c, d] = [id + 8, id + 12, id + 16, id + 20]
    const from = id + HEX_DIGITS + FROM.length
    const afterFrom = text.indexOf(',', from)
    const untilFrom = `-${text.slice(a, b)}-${text.slice(b, c)}-${text.slice(c, d)}-${text.slice(d, from)}`
    const name = nameOf(Number(text.slice(from, afterFrom)))
    return `${text.slice(0, a)}${untilFrom}"${name}"${text.slice(afterFrom)}`
  }
}
