import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { ApplicationToken, Database, OwnedToken, Owner } from '../database/database.ts'
import type { Address } from '../limits/address.ts'
import { invalidToken, Problem, sessionEnded } from '../problems.ts'
import type { CacheLease } from './sessions.ts'

/**
 * Tokens cached in memory, so that a send does not read the store. Above it the least recently used is
 * evicted.
 */
const REMEMBERED_MAX = 10_000

/** A use is written once an hour: often enough to know which tokens are in use. */
const NOTE_USE_EVERY_MS = 3_600_000

const SECRET_BYTES = 32

/**
 * The prefix tells people and secret scanners what this is. The last eight digits are a CRC-32 of the secret,
 * so a mistyped or cut token is refused without reading the store. Anyone can compute it: it proves nothing.
 */
const FORM = /^rst_([0-9a-f]{64})([0-9a-f]{8})$/

export interface IssuedApplicationToken extends ApplicationToken {
  /** Given to its owner once: the store has only its hash. */
  token: string
}

/** Limits how often tokens that are not cached are looked up. */
export interface TokenLimits {
  findToken: <T>(address: Address, find: () => Promise<T | undefined>) => Promise<T | undefined>
}

type TokenDatabase = Pick<
  Database,
  'createToken' | 'listTokens' | 'findToken' | 'revokeToken' | 'noteTokenUse'
>

/** Tokens for programs and devices that only send. They open no session and end none. */
export class ApplicationTokens {
  readonly #database: TokenDatabase
  readonly #limits: TokenLimits
  readonly #clock: Clock
  readonly #lease: CacheLease | undefined
  readonly #tokenById = new Map<string, string>()
  /** By the token, once it was found in the store. */
  readonly #known = new LRUCache<string, OwnedToken>({
    max: REMEMBERED_MAX,
    dispose: ({ id }) => this.#tokenById.delete(id),
  })
  /** How often tokens were forgotten. One that was read before the last time may have ended. */
  #forgets = 0

  /** @param lease undefined when this process alone ends tokens */
  constructor(database: TokenDatabase, limits: TokenLimits, clock: Clock, lease?: CacheLease) {
    this.#database = database
    this.#limits = limits
    this.#clock = clock
    this.#lease = lease
  }

  /**
   * Makes a token.
   *
   * @param expiresInMs undefined when it never expires
   * @throws Problem too_many_tokens, session_ended
   */
  async create(
    { accountId }: Owner,
    name: string,
    expiresInMs: number | undefined,
  ): Promise<IssuedApplicationToken> {
    const secret = randomBytes(SECRET_BYTES).toString('hex')
    const token = `rst_${secret}${checksumOf(secret)}`
    const id = randomUUID()
    const createdAtMs = this.#clock()
    const expiresAtMs = expiresInMs === undefined ? undefined : createdAtMs + expiresInMs
    const hash = hashOf(token)
    const outcome = await this.#database.createToken({ accountId, id, name, hash, createdAtMs, expiresAtMs })
    if (outcome === 'account_gone') throw sessionEnded()
    if (outcome === 'too_many_tokens')
      throw new Problem(
        'too_many_tokens',
        'This account has the maximum number of application tokens. Revoke one first.',
      )
    return { id, name, token, createdAtMs, expiresAtMs, lastUsedAtMs: undefined }
  }

  /** In the order in which they were made; also those that have expired. */
  list(accountId: number): Promise<ApplicationToken[]> {
    return this.#database.listTokens(accountId)
  }

  /**
   * Ends a token: no node accepts it from now on.
   *
   * @throws Problem not_found
   */
  async revoke(accountId: number, id: string): Promise<void> {
    const revoked = await this.#database.revokeToken(accountId, id)
    this.forget([id])
    if (!revoked) throw new Problem('not_found', 'This account has no such application token.')
  }

  /**
   * The account of a token.
   *
   * @param findAddress the source address of the request; called only for tokens that are not cached
   * @throws Problem invalid_token; rate_limited for unknown tokens of an address
   */
  identify(token: string, findAddress: () => Address): Owner | Promise<Owner> {
    const known = this.#isUpToDate ? this.#known.get(token) : undefined
    return known ? this.#requireValid(known) : this.#find(token, findAddress())
  }

  /** Forgets tokens that have been ended in the store. */
  forget(ids: string[]): void {
    this.#forgets += 1
    for (const id of ids) this.#known.delete(this.#tokenById.get(id) ?? '')
  }

  /** Clears the cache: the end of a token may have been missed. */
  forgetAll(): void {
    this.#forgets += 1
    this.#known.clear()
  }

  /** Whether the cache is valid: other nodes may end tokens. */
  get #isUpToDate(): boolean {
    return this.#lease?.holds ?? true
  }

  async #find(token: string, address: Address): Promise<Owner> {
    if (!isIntact(token)) throw unknownToken()
    const forgets = this.#forgets
    const mayRemember = this.#isUpToDate
    const found = await this.#limits.findToken(address, () => this.#database.findToken(hashOf(token)))
    if (!found) throw unknownToken()
    // One that was ended since the store was asked must not be remembered.
    if (mayRemember && forgets === this.#forgets) {
      this.#known.set(token, found)
      this.#tokenById.set(found.id, token)
    }
    return this.#requireValid(found)
  }

  #requireValid(found: OwnedToken): Owner {
    const { id, expiresAtMs, lastUsedAtMs = Number.NEGATIVE_INFINITY } = found
    const nowMs = this.#clock()
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
      throw invalidToken('The application token has expired.')
    if (Math.abs(nowMs - lastUsedAtMs) >= NOTE_USE_EVERY_MS) {
      found.lastUsedAtMs = nowMs
      // For its owner's information: if it cannot be written now, it is written an hour later.
      this.#database.noteTokenUse(id, nowMs).catch(() => {})
    }
    return found
  }
}

const checksumOf = (secret: string) => crc32(secret).toString(16).padStart(8, '0')

function isIntact(token: string): boolean {
  const [, secret = '', checksum] = FORM.exec(token) ?? []
  return checksum === checksumOf(secret)
}

/**
 * The hash in the store. A token has 256 random bits and cannot be guessed, so a slow hash, as for passwords,
 * would protect nothing and slow down every look-up.
 */
const hashOf = (token: string) => Uint8Array.from(createHash('sha256').update(token).digest())

const unknownToken = () => invalidToken('The application token is unknown or revoked.')
