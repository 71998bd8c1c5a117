/** The metrics for Prometheus: each counts what its name says, and none contains a name. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { backUp } from '../src/database/sqlite/file/backup.ts'
import { Histogram } from '../src/histogram.ts'
import { RequestCounts } from '../src/http/request-counts.ts'
import { InboxCounts } from '../src/inbox/inbox-counts.ts'
import { type MetricSources, Metrics } from '../src/metrics/metrics.ts'
import { adaAndBob, Client, newName } from './support/client.ts'
import { fileOf, scratchFolder } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { noPromtool, promtool, type Scraped, scraped } from './support/metrics.ts'
import { park } from './support/parked.ts'
import { rawRequest, sendRaw } from './support/raw-http.ts'
import { mistakeOf, type StartedServer, shareServer, startServer } from './support/servers.ts'

const getServer = shareServer({ OPS_PORT: '0', RETENTION: '0', PRESENCE_GRACE: '0' })

const scrape = async ({ operator }: StartedServer) => scraped(await operator.metrics.text())

/** Resolves with the change of each of these metrics during an action. */
async function moves(server: StartedServer, metrics: Parameters<Scraped>[], act: () => Promise<unknown>) {
  const before = await scrape(server)
  await act()
  const after = await scrape(server)
  return metrics.map((metric) => (after(...metric) ?? 0) - (before(...metric) ?? 0))
}

describe('a metric counts what its name says', () => {
  it('a send: the answer, its time, the message, the commit', async () => {
    const server = await getServer()
    const { ada, bob } = await adaAndBob(server)
    const operation = 'sendMessage'

    const moved = await moves(
      server,
      [
        ['restante_requests_total', { operation, status: '201' }],
        ['restante_request_seconds_count', { operation }],
        ['restante_request_seconds_bucket', { operation, le: '+Inf' }],
        ['restante_messages_accepted_total', { delivery: 'stored' }],
        ['restante_messages_accepted_total', { delivery: 'live' }],
        ['restante_commit_batch_size_sum'],
        ['restante_commit_batch_size_count'],
      ],
      () => bob.sendMany(ada, 3),
    )
    const [seconds = 0, commits = 0] = await moves(
      server,
      [['restante_request_seconds_sum', { operation }], ['restante_commit_seconds_count']],
      () => bob.send(ada, 'one more'),
    )

    assert.deepEqual(moved, [3, 3, 3, 3, 0, 3, 3])
    assert.ok(seconds > 0 && seconds < 60, `${seconds} s`)
    assert.ok(commits >= 1)
  })

  it('a send repeated with its key is one message', async () => {
    const server = await getServer()
    const { ada, bob } = await adaAndBob(server)

    const moved = await moves(
      server,
      [['restante_messages_accepted_total', { delivery: 'stored' }]],
      async () => {
        await bob.send(ada, 'once', 'key')
        await bob.send(ada, 'once', 'key')
      },
    )

    assert.deepEqual(moved, [1])
  })

  it('a poll: it waits, its account is online, a message wakes it', async (t) => {
    const server = await getServer()
    const { ada, bob } = await adaAndBob(server)
    const present: Parameters<Scraped>[] = [['restante_parked_polls'], ['restante_accounts_online']]
    await bob.logout()
    const again = await new Client(server).enter(bob.username)

    let poll: Awaited<ReturnType<typeof park>> | undefined
    assert.deepEqual(
      await moves(server, present, async () => {
        poll = await park(t, ada, 'wait=55')
      }),
      [1, 1],
    )
    const woken: Parameters<Scraped>[] = [
      ...present,
      ['restante_wakeups_total'],
      ['restante_messages_accepted_total', { delivery: 'live' }],
      ['restante_requests_total', { operation: 'readInbox', status: '200' }],
    ]
    const moved = await moves(server, woken, async () => {
      await again.send(ada, 'wake up')
      await poll?.answer()
    })

    assert.deepEqual(moved, [-1, -1, 1, 1, 1])
  })

  it('acknowledged messages, and purged ones', async () => {
    const server = await getServer()
    const { ada, bob } = await adaAndBob(server)
    await bob.sendMany(ada, 5)
    const before = await scrape(server)

    const [acknowledged] = await moves(server, [['restante_messages_acknowledged_total']], async () => {
      await ada.acknowledge(3)
      await ada.acknowledge(2)
      await ada.acknowledge(4)
    })

    assert.equal(acknowledged, 4)
    const purgedBefore = before('restante_messages_purged_total') ?? Number.NaN
    await eventually('they are purged', async () => {
      const purged = ((await scrape(server))('restante_messages_purged_total') ?? 0) - purgedBefore
      // Other tests of this file may have left messages.
      return purged >= 4
    })
  })

  it('numbers that a restore skipped do not count as acknowledged messages', () => {
    const counts = new InboxCounts()

    counts.countAcknowledged(3)
    counts.countAcknowledged(1_795_000_000_000_000)

    assert.equal(counts.acknowledged, 3)
  })

  it('a refused send counts by its code, for both operations', async () => {
    const server = await getServer()
    const { client, ada, bob } = await adaAndBob(server)
    await ada.block(bob)

    const moved = await moves(
      server,
      ['recipient_not_found', 'blocked', 'invalid_token', 'invalid_request', 'user_not_found'].map((code) => [
        'restante_sends_refused_total',
        { code },
      ]),
      async () => {
        await bob.send('nobody-here', 'text')
        await client.sendText(bob.token, ada, 'text')
        await client.request('POST', '/v1/messages', { token: 'none', body: { to: 'ada', body: 'text' } })
        await bob.send(ada, '')
        await bob.user('nobody-here')
      },
    )

    assert.deepEqual(moved, [1, 1, 1, 1, 0])
  })

  it('a cursor beyond the inbox counts if the token is valid', async () => {
    const server = await getServer()
    const { client, ada } = await adaAndBob(server)

    const moved = await moves(server, [['restante_cursor_ahead_total']], async () => {
      await ada.poll({ after: 99, wait: 0 })
      await ada.acknowledge(99)
      await client.get('/v1/inbox?after=99&wait=0', { token: 'none' })
    })

    assert.deepEqual(moved, [2])
  })

  it('all pages share one name, and so do unknown and unreadable requests', async () => {
    const server = await getServer()

    const moved = await moves(
      server,
      [
        ['restante_requests_total', { operation: 'page', status: '200' }],
        ['restante_requests_total', { operation: 'unknown', status: '404' }],
        ['restante_requests_total', { operation: 'unknown', status: '405' }],
        ['restante_requests_total', { operation: 'unknown', status: '400' }],
      ],
      async () => {
        for (const path of ['/openapi.yaml', '/', '/v1/nothing', '/wp-admin']) await fetch(server.url + path)
        await fetch(`${server.url}/v1/messages`, { method: 'DELETE' })
        await sendRaw(server.url, 'no HTTP at all\r\n\r\n')
        await sendRaw(server.url, rawRequest('GET /v1/users/%zz'))
      },
    )

    assert.deepEqual(moved, [2, 2, 1, 2])
  })

  it('messages waiting for a commit, and hashes for a core', async () => {
    const text = await new Metrics(fakeSources()).text()

    assert.equal(scraped(text)('restante_appends_waiting'), 7)
    assert.equal(scraped(text)('restante_password_hashes_waiting'), 8)
  })

  it('online accounts, counted once per scrape', async () => {
    let counts = 0
    const countOnlineHere = () => {
      counts += 1
      return 10 * counts
    }
    const mailboxes = {
      wakeUps: 0,
      get parkedPolls() {
        return 100 * counts
      },
    }
    const metrics = new Metrics({ ...fakeSources(), mailboxes, presence: { countOnlineHere } })

    for (const scrape of [1, 2]) {
      const value = scraped(await metrics.text())
      assert.equal(value('restante_accounts_online'), 10 * scrape)
      assert.equal(value('restante_parked_polls'), 100 * scrape)
    }
  })

  it('the disk and the last backup, if the database is a file', async (t) => {
    const server = await getServer()
    const names = ['disk_free_bytes', 'disk_free_min_bytes', 'backup_timestamp_seconds']
    const read = async () => {
      const value = await scrape(server)
      return names.map((name) => value(`restante_${name}`))
    }
    const [free = 0, freeMin, neverBackedUp] = await read()
    const without = scraped(await new Metrics(fakeSources()).text())
    for (const name of names) assert.equal(without(`restante_${name}`), undefined)
    assert.ok(free > 1_000_000)
    assert.deepEqual([freeMin, neverBackedUp], [256 * 2 ** 20, 0])
    const beganMs = Date.now()

    backUp(fileOf(server.database), join(scratchFolder(t), 'copy.db'))

    const [, , atSeconds = 0] = await read()
    assert.ok(atSeconds * 1_000 >= beganMs && atSeconds * 1_000 <= Date.now(), `${atSeconds}`)
  })

  it('the version, the event loop, the process', async () => {
    const value = await scrape(await getServer())
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

    assert.equal(value('restante_build_info', { version }), 1)
    for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_cpu_seconds_total', 'process_max_fds'])
      assert.ok((value(name) ?? 0) > 0, name)
  })
})

test('a label is from a closed list: no name, address or path is exposed', async () => {
  const server = await getServer()
  const client = new Client(server)
  const ada = await client.join(newName('secretive'))
  await ada.user('somebody-else')
  await ada.send('somebody-else', 'text')
  await client.get('/some/path?some=query')

  const text = await server.operator.metrics.text()

  assert.doesNotMatch(text, /secretive|somebody|some\/path|127\.0/)
  const labels = new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, label]) => label))
  const OURS = ['version', 'operation', 'status', 'code', 'delivery', 'le']
  const OF_THE_PROCESS = ['space', 'kind', 'major', 'minor', 'patch']
  assert.deepEqual(
    [...labels].filter((label) => ![...OURS, ...OF_THE_PROCESS].includes(label as string)),
    [],
  )
})

test('promtool finds no fault in the metrics', { skip: noPromtool ?? false }, async () => {
  const server = await getServer()
  const { ada, bob } = await adaAndBob(server)
  await bob.send(ada, 'text')

  assert.deepEqual(promtool(['check', 'metrics'], await server.operator.metrics.text()), {
    code: 0,
    said: '',
  })
})

test('a histogram counts a value in the first bucket that holds it', () => {
  const histogram = new Histogram([1, 10])

  for (const value of [0.5, 1, 1.5, 10, 11]) histogram.observe(value)

  assert.deepEqual(histogram.counts, [2, 2, 1])
  assert.equal(histogram.sum, 24)
})

describe('OPS_PORT', () => {
  it('serves the metrics to this machine, and nothing else', async () => {
    const server = await getServer()
    const url = opsUrl(server)
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)

    const answer = await fetch(url)

    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(await answer.text(), /^restante_build_info\{version="[\d.]+"\} 1$/m)
    assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
    assert.equal((await fetch(new URL('/v1/me', url))).status, 404)
    const posted = await fetch(url, { method: 'POST' })
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
    assert.equal((await new Client(server).get('/metrics')).status, 404)
  })

  it('refuses a page whose own name leads to this machine', async () => {
    const foreign = await sendRaw(
      opsUrl(await getServer()),
      'GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
    )

    assert.equal(foreign.status, 403)
  })

  it('stops the start when the port is in use, and is free when the server has stopped', async (t) => {
    // The last test with this server. Its process lives on, so that only the stop can free the port.
    const server = await getServer()
    const { port } = new URL(opsUrl(server))

    const mistake = await mistakeOf(startServer(t, { OPS_PORT: port }))

    assert.match(mistake, /^OPS_PORT: .*address already in use 127\.0\.0\.1:\d+\.$/)
    await server.stop()
    await assert.rejects(once(connect(Number(port), '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
  })
})

function opsUrl({ logs }: StartedServer): string {
  const line = logs.find(({ msg }) => msg.startsWith('metrics at '))
  assert.ok(line)
  return line.msg.slice('metrics at '.length)
}

const fakeSources = (): MetricSources => ({
  version: '1.2.3',
  requests: new RequestCounts(),
  inbox: { appendsWaiting: 7, counts: new InboxCounts() },
  mailboxes: { wakeUps: 0, parkedPolls: 0 },
  presence: { countOnlineHere: () => 0 },
  passwords: { waiting: 8 },
  push: { results: { sent: 3, gone: 2 } },
  disk: undefined,
  lastBackupMs: undefined,
})
