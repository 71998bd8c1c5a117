/**
 * Where the messages of each inbox lie. A message is appended to its table, behind all others; its entry says
 * at which position. The entries of a batch belong all over the index: to write each at once would be a page
 * a message, to the log and later to the file, which was two thirds of the time of a commit. So they wait in
 * memory, and go to the index many at a time and in its order, when each page that is written takes several.
 * That is the rolling merge of a log-structured merge-tree (O'Neil et al., Acta Informatica 33, 1996).
 *
 * What is in memory can be lost: `inbox_index` tells a position behind which a start looks for messages that
 * have no entry. The entries that wait are a temporary table, so that a batch that is rolled back takes its
 * own with it, and a merge gives back what it took.
 */
import type SqliteFile from 'better-sqlite3'

/**
 * Entries that wait: a megabyte and a half. With a million messages in 100 000 inboxes a page that is written
 * takes a dozen of them.
 */
const WAITING_MAX = 65_536

/** Entries merged in one go: a millisecond of work. */
const MERGED_AT_ONCE = 256

/**
 * The newest number of an account's inbox: that of its last message, or that up to which it was purged. A
 * counter in the account's row would be a page more to write for nearly every message.
 */
export const NEWEST_SEQ = `max(purged_seq,
  coalesce((SELECT max(seq) FROM waiting_entry WHERE recipient_id = account.id), 0),
  coalesce((SELECT max(seq) FROM inbox_entry WHERE recipient_id = account.id), 0))`

/**
 * The entries of the inbox @accountId that are so, each seq with its position. Those that wait need not be
 * the newest: after a merge that was rolled back some do while later ones are written.
 */
export const entriesWhere = (condition: string) =>
  ['inbox_entry', 'waiting_entry']
    .map((table) => `SELECT seq, position FROM ${table} WHERE recipient_id = @accountId AND ${condition}`)
    .join(' UNION ALL ')

/** A place in the order of the index. */
interface Place {
  recipientId: number
  seq: number
}

const BEGINNING: Place = { recipientId: 0, seq: 0 }
const END: Place = { recipientId: Number.MAX_SAFE_INTEGER, seq: 0 }

/** A part of an inbox: behind one number and up to another. */
export interface Range {
  accountId: number
  after: number
  upTo: number
}

/** All but `nextPosition` belong into a transaction that writes. */
export interface InboxIndex {
  /** A position behind those of all messages. */
  nextPosition: () => number
  add: (recipientId: number, seq: number, position: number) => void
  remove: (range: Range) => void
  /** Writes some of the entries that wait, when there are many. */
  merge: () => void
  /** Writes all of them, so that a start has nothing to look for. */
  mergeAll: () => void
}

/**
 * Opens the index, and finds the entries that were not written when the file was last used.
 *
 * @param waitingMax entries kept in memory
 */
export function openInboxIndex(connection: SqliteFile.Database, waitingMax = WAITING_MAX): InboxIndex {
  connection.exec(`
    PRAGMA temp_store = MEMORY;
    CREATE TEMP TABLE waiting_entry (
      recipient_id INTEGER NOT NULL,
      seq INTEGER NOT NULL,
      position INTEGER NOT NULL,
      PRIMARY KEY (recipient_id, seq)
    ) WITHOUT ROWID;
    INSERT INTO waiting_entry
      SELECT recipient_id, seq, position FROM message
       WHERE position > (SELECT position FROM inbox_index)
         AND NOT EXISTS (SELECT 1 FROM inbox_entry
                          WHERE (recipient_id, seq) = (message.recipient_id, message.seq));
  `)
  const findLastPosition = connection
    .prepare<[], number>(
      'SELECT max(position, coalesce((SELECT max(position) FROM message), 0)) FROM inbox_index',
    )
    .pluck()
  let lastPosition = findLastPosition.get() ?? 0
  /** How far this round of merging has come; what a rolled back merge has left is for the next round. */
  let merged = BEGINNING

  const insert = connection.prepare<[recipientId: number, seq: number, position: number]>(
    'INSERT INTO waiting_entry (recipient_id, seq, position) VALUES (?, ?, ?)',
  )
  const removals = ['inbox_entry', 'waiting_entry'].map((table) =>
    connection.prepare<Range>(
      `DELETE FROM ${table} WHERE recipient_id = @accountId AND seq > @after AND seq <= @upTo`,
    ),
  )
  const countWaiting = connection.prepare<[], number>('SELECT count(*) FROM waiting_entry').pluck()
  // The offset is not bound, because it would be planned anew each time, as a limit is (inbox-verbs.ts).
  const lastOfNext = connection.prepare<Place, Place>(
    `SELECT recipient_id AS recipientId, seq FROM waiting_entry
      WHERE (recipient_id, seq) > (@recipientId, @seq)
      ORDER BY recipient_id, seq LIMIT 1 OFFSET ${MERGED_AT_ONCE - 1}`,
  )
  const between = '(recipient_id, seq) > (?, ?) AND (recipient_id, seq) <= (?, ?)'
  type Between = [fromId: number, fromSeq: number, toId: number, toSeq: number]
  const write = connection.prepare<Between>(
    `INSERT INTO inbox_entry SELECT recipient_id, seq, position FROM waiting_entry
      WHERE ${between} ORDER BY recipient_id, seq`,
  )
  const forget = connection.prepare<Between>(`DELETE FROM waiting_entry WHERE ${between}`)
  const noteMerged = connection.prepare<[lastPosition: number]>(
    'UPDATE inbox_index SET position = coalesce((SELECT min(position) FROM waiting_entry) - 1, ?)',
  )

  function mergeNext() {
    const last = lastOfNext.get(merged) ?? END
    const next: Between = [merged.recipientId, merged.seq, last.recipientId, last.seq]
    write.run(...next)
    forget.run(...next)
    if (last === END) noteMerged.run(lastPosition)
    merged = last === END ? BEGINNING : last
  }

  function merge() {
    while ((countWaiting.get() ?? 0) > waitingMax) mergeNext()
  }

  // Messages may have been written past the server, so many that they would hold up the first commit.
  connection.transaction(merge).immediate()

  return {
    nextPosition: () => ++lastPosition,
    add: (recipientId, seq, position) => void insert.run(recipientId, seq, position),
    remove: (range) => {
      for (const removal of removals) removal.run(range)
    },
    merge,
    mergeAll: () => {
      merged = BEGINNING
      do mergeNext()
      while (merged !== BEGINNING)
    },
  }
}
