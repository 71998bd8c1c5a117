/** The verbs of a store for push subscriptions, and for the hints sent to them. */
export interface PushStore {
  /**
   * Adds a subscription to a session, moves one there whose endpoint and keys are the same, or replaces one
   * of the same account whose keys are others.
   */
  createPushSubscription(subscription: NewPushSubscription): Promise<SubscriptionOutcome>
  /** The subscriptions of an account, the oldest first. */
  listPushSubscriptions(accountId: number): Promise<ListedSubscription[]>
  /** Ends a subscription of that account; false when there is none of that id. */
  deletePushSubscription(accountId: number, id: string): Promise<boolean>
  /** Ends a subscription that its push service no longer knows. */
  forgetPushSubscription(id: string): Promise<void>

  /** The subscriptions of the accounts of these names. */
  findSleepers(usernames: string[]): Promise<Sleeper[]>
  /**
   * Marks the subscriptions that have not changed since they were found, so that only one of several nodes
   * sends.
   *
   * @param claim names the attempt
   * @param untilMs until when no other node may try
   */
  claimHints(hints: DueHint[], claim: string, untilMs: number): Promise<ClaimedHint[]>
  /**
   * Extends the mark of a claim. Without a claim to keep, the hint was sent.
   *
   * @returns false when the claim is over, because the session has read, or its subscription has ended
   */
  extendHint(hint: ClaimedMark, untilMs: number, keptClaim: string | undefined): Promise<boolean>
  /** Clears the mark of a claim, because no hint was sent. */
  dropHint(hint: ClaimedMark): Promise<void>
  /** Clears the marks of a session that has read, and notes that it was used. */
  takeHintsBack(sessionId: string, nowMs: number): Promise<void>
}

/** The endpoint of a client at its push service, and its keys, from a browser or a distributor. */
export interface ClientKeys {
  endpoint: string
  /** In base64url without padding. */
  p256dh: string
  auth: string
}

export interface ListedSubscription {
  id: string
  endpoint: string
  createdAtMs: number
}

export interface NewPushSubscription extends ListedSubscription, ClientKeys {
  accountId: number
  sessionId: string
  /** The keys of this server: a new subscription was made with the first, an old one with any of them. */
  keyIds: readonly [string, ...string[]]
}

/** `session_gone`: the session has ended meanwhile. */
export type SubscriptionOutcome =
  | ListedSubscription
  | 'endpoint_taken'
  | 'too_many_subscriptions'
  | 'session_gone'

/** A subscription that may be due, and how much of the inbox its session has read. */
export interface Sleeper {
  id: string
  accountId: number
  username: string
  sessionId: string
  /** How far the session has acknowledged, as far as the store knows. */
  acknowledgedSeq: number
  newestSeq: number
  /** Whether the session polls another node, or did a moment ago. */
  isElsewhere: boolean
  /** Undefined when it was not hinted since its session has read. */
  hintedSeq: number | undefined
  hintedUntilMs: number | undefined
  /** The attempt that is under way. */
  claim: string | undefined
}

/** A hint to claim, and the mark that its subscription was found with. */
export interface DueHint {
  id: string
  seq: number
  foundUntilMs: number | undefined
}

/** The mark of a claim. */
export interface ClaimedMark {
  id: string
  seq: number
  claim: string
}

export interface ClaimedHint extends ClientKeys {
  id: string
  seq: number
  keyId: string
}
