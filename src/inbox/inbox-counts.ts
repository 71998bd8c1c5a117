import type { Batch, CommitResult, Database } from '../database/database.ts'
import { Histogram } from '../histogram.ts'

/** A synced write takes from a fraction of a millisecond to seconds, on an overloaded disk. */
const COMMIT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

/** More than any inbox holds, and fewer than a restore skips. */
const SKIPPED_MIN = 1_000_000_000

/** Counters of messages and commits, for the metrics. */
export class InboxCounts {
  acceptedLive = 0
  acceptedStored = 0
  /** Entries of inboxes, once for each session that acknowledged them. */
  acknowledged = 0
  purged = 0
  /** Durations of all commits that succeeded. */
  readonly commitSeconds = new Histogram(COMMIT_SECONDS)
  /** Messages per commit, for commits with any. */
  readonly batchSizes = new Histogram(BATCH_SIZES)

  countAccepted(live: boolean): void {
    if (live) this.acceptedLive += 1
    else this.acceptedStored += 1
  }

  /** Counts an acknowledgement over so many numbers. Numbers that a restore skipped were never messages. */
  countAcknowledged(numbers: number): void {
    if (numbers < SKIPPED_MIN) this.acknowledged += numbers
  }

  /** Commits a batch, and records its duration and size. */
  async commit(database: Pick<Database, 'commit'>, batch: Batch): Promise<CommitResult> {
    const beganMs = performance.now()
    const result = await database.commit(batch)
    this.commitSeconds.observe((performance.now() - beganMs) / 1_000)
    if (batch.appends.length > 0) this.batchSizes.observe(batch.appends.length)
    return result
  }
}
