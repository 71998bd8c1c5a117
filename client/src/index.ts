/** The client of Restante. README.md shows how to use it. */
export type { InboxOptions, InboxState } from './inbox.ts'
export type { Gap, Input, Message, Operation, Output, Page } from './operations.ts'
export { type InputError, RestanteProblem } from './problem.ts'
export { Restante, type RestanteOptions } from './restante.ts'
export { newKey, type SendOptions } from './send.ts'
export type { Session } from './session.ts'
export type { Store, StoredSession } from './store.ts'
