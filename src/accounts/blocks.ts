import type { Clock } from '../clock.ts'
import type { Block, BlockOutcome, Database, Owner } from '../database/database.ts'
import { Problem, userNotFound } from '../problems.ts'

type BlockDatabase = Pick<Database, 'listBlocks' | 'block' | 'unblock' | 'isBlocked'>

/** Accounts whose messages an account does not take. */
export class Blocks {
  readonly #database: BlockDatabase
  readonly #clock: Clock

  constructor(database: BlockDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /** In the order of the names. */
  list(accountId: number): Promise<Block[]> {
    return this.#database.listBlocks(accountId)
  }

  /**
   * Refuses messages of that name from now on; those in the inbox stay. Does nothing when it was blocked
   * before.
   *
   * @throws Problem invalid_request for the owner's own name, user_not_found, too_many_blocks
   */
  async add(owner: Owner, username: string): Promise<void> {
    if (username === owner.username) throw refuseOwnName()
    const outcome = await this.#database.block(owner, username, this.#clock())
    const problem = problems[outcome]?.(username)
    if (problem) throw problem
  }

  /**
   * Takes messages of that name again. Does nothing when it was not blocked.
   *
   * @throws Problem user_not_found
   */
  async remove(owner: Owner, username: string): Promise<void> {
    if (!(await this.#database.unblock(owner, username))) throw userNotFound(username)
  }

  /** Whether an account has blocked another one, which then does not see when it is online. */
  has(accountId: number, blockedId: number): Promise<boolean> {
    return this.#database.isBlocked(accountId, blockedId)
  }
}

const problems: Record<BlockOutcome, ((username: string) => Problem) | undefined> = {
  blocked: undefined,
  user_not_found: userNotFound,
  too_many_blocks: () =>
    new Problem('too_many_blocks', 'This account blocks the maximum number of users. Unblock one first.'),
}

function refuseOwnName(): Problem {
  const detail = 'username must not be your own'
  return new Problem('invalid_request', `${detail}.`, { errors: [{ pointer: '/path/username', detail }] })
}
