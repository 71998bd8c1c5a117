/**
 * The notifications between nodes, each sent in the transaction that it is about. listener.ts receives them.
 *
 *   new NODE NAME SEQ NAME SEQ …   that node has appended to the inboxes of these accounts
 *                                  (commit-statement.ts)
 *   ended ID NAME                  a session or application token of that account has ended (a trigger)
 *   ended ID NAME disabled         the same, because the account was disabled
 *   probe NODE                     a node checks that notifications arrive (nodes.ts)
 *   barrier NODE N                 that node waits until the others have acted upon all of the above
 *                                  (barrier.ts)
 *   passed NODE N OTHER            the other node has acted upon them (listener.ts)
 *
 * Every schema has a channel of its own, named by its oid, as in the trigger of the migrations.
 */
export const CHANNEL_OF_SCHEMA = `SELECT 'restante_' || oid AS channel FROM pg_namespace WHERE nspname = $1`
