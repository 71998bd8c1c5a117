import type { Metric, MetricType, Registry } from 'prom-client'
import type { Histogram } from '../histogram.ts'

interface Present {
  online: number
  parkedPolls: number
}

/** Where a scrape reads the values. Nothing is computed before it. */
export interface MetricSources {
  version: string
  requests: {
    operations: ReadonlyMap<string, { byStatus: ReadonlyMap<number, number>; seconds: Histogram }>
    refusedSends: ReadonlyMap<string, number>
    cursorAhead: number
  }
  inbox: {
    appendsWaiting: number
    counts: {
      acceptedLive: number
      acceptedStored: number
      acknowledged: number
      purged: number
      commitSeconds: Histogram
      batchSizes: Histogram
    }
  }
  mailboxes: { wakeUps: number; parkedPolls: number }
  presence: { countOnlineHere: () => number }
  passwords: { waiting: number }
  /** Hints by how they ended; undefined if push is off. */
  push: { results: Readonly<Record<string, number>> } | undefined
  /** Undefined if this server does not watch the disk. */
  disk: { free: number | undefined; freeMin: number } | undefined
  /** When the last backup was taken, in ms since 1970; undefined if this server cannot know. */
  lastBackupMs: (() => Promise<number | undefined>) | undefined
}

/** The media type of `text()`. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** One line of the output. */
interface Sample {
  value: number
  labels?: Record<string, string | number>
  /** If it differs from the metric's name. */
  metricName?: string
}

/** The metrics of a server, in Prometheus's text format. Only this file uses prom-client. */
export class Metrics {
  readonly #sources: MetricSources
  #registry: Promise<Registry> | undefined
  #present: Present = { online: 0, parkedPolls: 0 }

  constructor(sources: MetricSources) {
    this.#sources = sources
  }

  /**
   * Loads prom-client, which then observes the event loop and garbage collection. Called by the first scrape
   * at the latest, so a server without scrapes never loads it.
   */
  start(): Promise<Registry> {
    this.#registry ??= makeRegistry(this.#sources, () => this.#present)
    return this.#registry
  }

  /** The body of `GET /metrics`, of type `METRICS_TYPE`. */
  async text(): Promise<string> {
    const registry = await this.start()
    // Once per scrape, because each visits every account that polls.
    const { presence, mailboxes } = this.#sources
    this.#present = { online: presence.countOnlineHere(), parkedPolls: mailboxes.parkedPolls }
    return registry.metrics()
  }
}

async function makeRegistry(sources: MetricSources, present: () => Present): Promise<Registry> {
  // In the bundle a CommonJS package has only a default export.
  const { default: prometheus } = await import('prom-client')
  const { collectDefaultMetrics, Registry } = prometheus
  const registry = new Registry()
  const add = (
    name: string,
    type: `${MetricType}`,
    help: string,
    read: () => Sample[] | Promise<Sample[]>,
  ) => {
    const get = async () => ({
      name: `restante_${name}`,
      help,
      type,
      values: await read(),
      aggregator: 'sum',
    })
    // The registry uses only `name` and `get`. A metric of prom-client would count a second time.
    registry.registerMetric({ name: `restante_${name}`, get } as unknown as Metric)
  }
  const { version, requests, inbox, mailboxes, passwords, push, disk, lastBackupMs } = sources
  const { counts } = inbox

  add('build_info', 'gauge', 'The running version; always 1.', () => one(1, { version }))
  add('requests_total', 'counter', 'Responses by operation and status.', () =>
    [...requests.operations].flatMap(([operation, { byStatus }]) =>
      [...byStatus].map(([status, value]) => ({ value, labels: { operation, status } })),
    ),
  )
  const timed = () => [...requests.operations].filter(([, { byStatus }]) => byStatus.size > 0)
  add('request_seconds', 'histogram', 'Time to the response. For readInbox it includes the wait.', () =>
    timed().flatMap(([operation, { seconds }]) => samplesOf('request_seconds', seconds, { operation })),
  )
  add('sends_refused_total', 'counter', 'Refused sends, by problem code.', () =>
    [...requests.refusedSends].map(([code, value]) => ({ value, labels: { code } })),
  )
  add('cursor_ahead_total', 'counter', 'Cursors of valid tokens beyond their inbox.', () =>
    one(requests.cursorAhead),
  )
  add('messages_accepted_total', 'counter', 'Stored messages, by how they were delivered.', () => [
    { value: counts.acceptedLive, labels: { delivery: 'live' } },
    { value: counts.acceptedStored, labels: { delivery: 'stored' } },
  ])
  add('messages_acknowledged_total', 'counter', 'Inbox entries acknowledged, once per session.', () =>
    one(counts.acknowledged),
  )
  add('messages_purged_total', 'counter', 'Inbox entries that were purged.', () => one(counts.purged))
  add('commit_seconds', 'histogram', 'Time of a commit, including its sync to disk.', () =>
    samplesOf('commit_seconds', counts.commitSeconds),
  )
  add('commit_batch_size', 'histogram', 'Messages per commit, of commits with messages.', () =>
    samplesOf('commit_batch_size', counts.batchSizes),
  )
  add('appends_waiting', 'gauge', 'Messages that wait for a commit.', () => one(inbox.appendsWaiting))
  add('password_hashes_waiting', 'gauge', 'Password hashes that wait for a processor core.', () =>
    one(passwords.waiting),
  )
  add('wakeups_total', 'counter', 'Polls ended by a message.', () => one(mailboxes.wakeUps))
  add('parked_polls', 'gauge', 'Parked polls on this node.', () => one(present().parkedPolls))
  add('accounts_online', 'gauge', 'Accounts online on this node.', () => one(present().online))
  if (disk) {
    add('disk_free_bytes', 'gauge', 'Free space on the disk of the database.', () =>
      disk.free === undefined ? [] : one(disk.free),
    )
    add('disk_free_min_bytes', 'gauge', 'Below this, sends are refused: DISK_FREE_MIN.', () =>
      one(disk.freeMin),
    )
  }
  if (lastBackupMs)
    add(
      'backup_timestamp_seconds',
      'gauge',
      'When the last backup was taken; 0 before the first.',
      async () => one(((await lastBackupMs()) ?? 0) / 1_000),
    )
  if (push)
    add('push_total', 'counter', 'Hints to push services, by how they ended.', () =>
      Object.entries(push.results).map(([result, value]) => ({ value, labels: { result } })),
    )

  collectDefaultMetrics({ register: registry })
  // They list every open connection at each scrape, and three gauges have names of counters.
  for (const { name } of registry.getMetricsAsArray())
    if (name.startsWith('nodejs_active_')) registry.removeSingleMetric(name)
  return registry
}

const one = (value: number, labels: Record<string, string> = {}): Sample[] => [{ value, labels }]

/** Prometheus wants cumulative buckets. */
function samplesOf(name: string, { bounds, counts, sum }: Histogram, labels = {}): Sample[] {
  const metricName = `restante_${name}`
  let count = 0
  const buckets = counts.map((inside, at) => {
    count += inside
    return {
      metricName: `${metricName}_bucket`,
      value: count,
      labels: { ...labels, le: bounds[at] ?? '+Inf' },
    }
  })
  return [
    ...buckets,
    { metricName: `${metricName}_sum`, value: sum, labels },
    { metricName: `${metricName}_count`, value: count, labels },
  ]
}
