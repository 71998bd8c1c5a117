/**
 * The notifications between nodes, each sent in the transaction that it is about:
 *
 *   new NODE NAME SEQ NAME SEQ …   that node has added messages to the inboxes of these names
 *   ended ID NAME                  that session or application token of that name is over; a trigger sends it
 *   ended ID NAME disabled         the same, because the account was disabled
 *   probe NODE                     a node checks that notifications arrive
 *   barrier NODE N                 that node waits until the others have acted upon all of the above
 *   passed NODE N OTHER            the other one has
 *
 * Every schema has a channel of its own, named by its number: the trigger of the migrations does the same.
 */
export const CHANNEL_OF_SCHEMA = `SELECT 'restante_' || oid AS channel FROM pg_namespace WHERE nspname = $1`
