/** What the domain asks of a store of push subscriptions. */
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
  /** Ends a subscription that its push service does not know any more. */
  forgetPushSubscription(id: string): Promise<void>

  /** The subscriptions of the accounts of these names. */
  findSleepers(usernames: string[]): Promise<Sleeper[]>
  /**
   * Marks subscriptions that are as they were found, so that of several nodes one sends.
   *
   * @param claim whose attempt it is
   * @param untilMs until when no other node may try
   */
  claimHints(hints: DueHint[], claim: string, untilMs: number): Promise<ClaimedHint[]>
  /**
   * Has the mark of a claim last until then. Without a claim to keep, the hint was sent.
   *
   * @returns false when the claim is over, because the session has read, or its subscription has ended
   */
  extendHint(hint: ClaimedMark, untilMs: number, keptClaim: string | undefined): Promise<boolean>
  /** Takes the mark of a claim back, because no hint was sent. */
  dropHint(hint: ClaimedMark): Promise<void>
  /** Takes the marks of a session back that has read, and notes that it was used. */
  takeHintsBack(sessionId: string, nowMs: number): Promise<void>
}

/** What a push service and a browser, or a distributor, gave a client. */
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
  /** The keys of this server. It was made with the first, or it is an old one and known with another. */
  keyIds: readonly [string, ...string[]]
}

/** `session_gone`: the session has ended meanwhile. */
export type SubscriptionOutcome =
  | ListedSubscription
  | 'endpoint_taken'
  | 'too_many_subscriptions'
  | 'session_gone'

/** A subscription that may be due, and what its session has of the inbox. */
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
  /** Whose attempt is under way. */
  claim: string | undefined
}

/** What is to be claimed, and the mark that it was found with. */
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
