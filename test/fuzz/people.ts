import type { Chance } from './values.ts'

/** A person with an account. */
export interface Somebody {
  username: string
  password: string
  token: string | undefined
  /** The newest token, if there is one. */
  applicationToken?: string
  /** The newest number that it has seen. */
  cursor: number
  /** Messages that were accepted for it. */
  accepted: number
}

const IDS_MAX = 50
const IDS_OF_NOBODY = [
  '01a20779-7500-71c9-b0a4-e83d57f2094b',
  '00000000-0000-0000-0000-000000000000',
] as const

/** The state of the accounts according to the answers: valid values for the next requests. */
export class People {
  readonly #known = new Map<string, Somebody>()
  readonly #ids: string[] = [...IDS_OF_NOBODY]
  readonly #accepted = new Set<string>()
  #names = 0

  get all(): Somebody[] {
    return [...this.#known.values()]
  }

  any = (chance: Chance): Somebody | undefined => chance.of(this.all)

  newName = () => `p${(this.#names++).toString(36)}${'.-_x'.charAt(this.#names % 4)}y`

  anyId = (chance: Chance): string => chance.of(this.#ids) ?? IDS_OF_NOBODY[0]

  /** Updates the state from a successful answer. */
  learn(operationId: string, actor: Somebody | undefined, sent: unknown, answer: Record<string, unknown>) {
    const body = sent as Record<string, string>
    const learn: Record<string, () => void> = {
      register: () => this.#add(String(body['username']).toLowerCase(), String(body['password'])),
      login: () =>
        this.#change(answer['username'], {
          token: String(answer['token']),
          cursor: Number(answer['cursor']),
        }),
      renewToken: () => this.#change(actor?.username, { token: String(answer['token']) }),
      logout: () => this.#change(actor?.username, { token: undefined }),
      deleteAccount: () => this.#known.delete(actor?.username ?? ''),
      changePassword: () => this.#change(actor?.username, { password: String(body['new']) }),
      listSessions: () => {
        for (const { id } of answer['sessions'] as { id: string }[]) this.#learnId(id)
      },
      // It may have been another session of the account.
      endSession: () => this.#change(actor?.username, { token: undefined }),
      readInbox: () => this.#change(actor?.username, { cursor: Number(answer['cursor']) }),
      sendMessage: () => this.#sent(String(answer['to']), String(answer['id'])),
      sendText: () => this.#sent(String(answer['to']), String(answer['id'])),
      createPushSubscription: () => this.#learnId(String(answer['id'])),
      createToken: () => this.#change(actor?.username, { applicationToken: String(answer['token']) }),
    }
    learn[operationId]?.()
  }

  #add(username: string, password: string) {
    this.#known.set(username, { username, password, token: undefined, cursor: 0, accepted: 0 })
  }

  #change(username: unknown, change: Partial<Somebody>) {
    const somebody = this.#known.get(String(username))
    if (somebody) Object.assign(somebody, change)
  }

  #sent(to: string, id: string) {
    const recipient = this.#known.get(to)
    // The same key has the same answer.
    if (recipient && !this.#accepted.has(id)) recipient.accepted += 1
    this.#accepted.add(id)
    this.#learnId(id)
  }

  #learnId(id: string) {
    this.#ids.push(id)
    if (this.#ids.length > IDS_MAX) this.#ids.splice(IDS_OF_NOBODY.length, 1)
  }
}
