/**
 * What the nodes tell each other over NOTIFY, all of it in the transaction that it is about:
 *
 *   new NODE NAME SEQ NAME SEQ …   that node has added messages to the inboxes of these names
 *   ended SESSION NAME             that session of that name is over; said by a trigger, whoever ended it
 *   probe NODE                     said by a node to find out whether it hears itself
 */
export const CHANNEL = 'restante'
