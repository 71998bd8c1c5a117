import type { Metric, MetricType, Registry } from 'prom-client'
import type { Histogram } from '../histogram.ts'

interface Present {
  online: number
  parkedPolls: number
}

/** Where the metrics are read, when somebody asks. Nothing here is computed before. */
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
  /** How many hints have ended how; undefined where push is off. */
  push: { results: Readonly<Record<string, number>> } | undefined
  /** Undefined where this server does not watch the disk. */
  disk: { free: number | undefined; freeMin: number } | undefined
  /** When the last backup was taken, in ms since 1970; undefined where this server cannot know. */
  lastBackupMs: (() => Promise<number | undefined>) | undefined
}

/** The media type of the text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A line, as the library writes it. */
interface Sample {
  value: number
  labels?: Record<string, string | number>
  /** Where it is not that of the metric. */
  metricName?: string
}

/** The metrics of a server, in the text format of Prometheus. The only file that knows the library. */
export class Metrics {
  readonly #sources: MetricSources
  #registry: Promise<Registry> | undefined
  #present: Present = { online: 0, parkedPolls: 0 }

  constructor(sources: MetricSources) {
    this.#sources = sources
  }

  /**
   * Loads the library, which watches the event loop and the collections of garbage from then on. The first
   * scrape does so, too: without one nothing is loaded.
   */
  start(): Promise<Registry> {
    this.#registry ??= makeRegistry(this.#sources, () => this.#present)
    return this.#registry
  }

  /** What to answer to `GET /metrics`, as `METRICS_TYPE`. */
  async text(): Promise<string> {
    const registry = await this.start()
    // Once per scrape: each walks through all accounts that poll.
    const { presence, mailboxes } = this.#sources
    this.#present = { online: presence.countOnlineHere(), parkedPolls: mailboxes.parkedPolls }
    return registry.metrics()
  }
}

async function makeRegistry(sources: MetricSources, present: () => Present): Promise<Registry> {
  // It is in CommonJS, and of such a package a bundle has the default export alone.
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
    // Of a metric the registry uses its name and this. The library's own would count a second time.
    registry.registerMetric({ name: `restante_${name}`, get } as unknown as Metric)
  }
  const { version, requests, inbox, mailboxes, passwords, push, disk, lastBackupMs } = sources
  const { counts } = inbox

  add('build_info', 'gauge', 'The version that runs; always 1.', () => one(1, { version }))
  add('requests_total', 'counter', 'Answers by operation and status.', () =>
    [...requests.operations].flatMap(([operation, { byStatus }]) =>
      [...byStatus].map(([status, value]) => ({ value, labels: { operation, status } })),
    ),
  )
  const timed = () => [...requests.operations].filter(([, { byStatus }]) => byStatus.size > 0)
  add('request_seconds', 'histogram', 'Time to the answer. That of readInbox has its wait in it.', () =>
    timed().flatMap(([operation, { seconds }]) => samplesOf('request_seconds', seconds, { operation })),
  )
  add('sends_refused_total', 'counter', 'Sends that were refused, by the code of the problem.', () =>
    [...requests.refusedSends].map(([code, value]) => ({ value, labels: { code } })),
  )
  add('cursor_ahead_total', 'counter', 'Cursors of valid tokens beyond their inbox.', () =>
    one(requests.cursorAhead),
  )
  add('messages_accepted_total', 'counter', 'Messages that were stored, by how they were delivered.', () => [
    { value: counts.acceptedLive, labels: { delivery: 'live' } },
    { value: counts.acceptedStored, labels: { delivery: 'stored' } },
  ])
  add('messages_acknowledged_total', 'counter', 'Inbox entries acknowledged, once per session.', () =>
    one(counts.acknowledged),
  )
  add('messages_purged_total', 'counter', 'Inbox entries that were removed for good.', () =>
    one(counts.purged),
  )
  add('commit_seconds', 'histogram', 'Time of a commit, with its sync to the disk.', () =>
    samplesOf('commit_seconds', counts.commitSeconds),
  )
  add('commit_batch_size', 'histogram', 'Messages in a commit that has any.', () =>
    samplesOf('commit_batch_size', counts.batchSizes),
  )
  add('appends_waiting', 'gauge', 'Messages that wait for a commit to take them.', () =>
    one(inbox.appendsWaiting),
  )
  add('password_hashes_waiting', 'gauge', 'Passwords that wait for a processor core.', () =>
    one(passwords.waiting),
  )
  add('wakeups_total', 'counter', 'Polls that a message has ended.', () => one(mailboxes.wakeUps))
  add('parked_polls', 'gauge', 'Polls that wait at this node.', () => one(present().parkedPolls))
  add('accounts_online', 'gauge', 'Accounts that are online at this node.', () => one(present().online))
  if (disk) {
    add('disk_free_bytes', 'gauge', 'Free space of the disk of the database.', () =>
      disk.free === undefined ? [] : one(disk.free),
    )
    add('disk_free_min_bytes', 'gauge', 'With less free, sends are refused: DISK_FREE_MIN.', () =>
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
  // Each scrape would list every open connection for them, and three have names that are those of counters.
  for (const { name } of registry.getMetricsAsArray())
    if (name.startsWith('nodejs_active_')) registry.removeSingleMetric(name)
  return registry
}

const one = (value: number, labels: Record<string, string> = {}): Sample[] => [{ value, labels }]

/** The buckets of a histogram add up, from the smallest bound to infinity. */
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
