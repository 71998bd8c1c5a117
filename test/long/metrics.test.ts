/** deploy/: Prometheus with the deployed files, two nodes, and a server on SQLite. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { backUp } from '../../src/database/sqlite/file/backup.ts'
import { adaAndBob } from '../support/client.ts'
import { fileOf, noDatabaseYet, scratchFolder } from '../support/databases.ts'
import { atTheEnd, endOfSuite } from '../support/endings.ts'
import { eventually } from '../support/eventually.ts'
import { park } from '../support/parked.ts'
import { freePort } from '../support/postgres.ts'
import { type ServerProcess, spawnServer } from '../support/servers.ts'
import { shareCluster } from '../support/shared-cluster.ts'

const missing = spawnSync('prometheus', ['--version']).error
  ? 'Prometheus is not installed here, and is no package of npm.'
  : false

/** Replaces Grafana's variable: some scrapes. */
const RATE_INTERVAL = '10s'

/** Without subscriptions, its metrics still exist. */
const PUSH = {
  PUSH: 'on',
  PUSH_SUBJECT: 'mailto:ops@chat.example',
  VAPID_KEYS: Buffer.alloc(32, 1).toString('base64'),
}

const ending = endOfSuite()
const servers: ServerProcess[] = []
let url: string

before(async () => {
  if (missing) return
  const cluster = await shareCluster()
  atTheEnd(ending, () => cluster.stop())
  const database = await cluster.createDatabase()
  for (const each of [database, database, noDatabaseYet(ending)])
    servers.push(await spawnServer(ending, { OPS_PORT: '0', ...PUSH }, each))
  url = await startPrometheus(await Promise.all(servers.map(targetOf)))
})

async function targetOf({ logged }: ServerProcess): Promise<string> {
  const { msg } = await logged('metrics at ')
  return new URL(msg.slice('metrics at '.length)).host
}

/** Uses the deployed configuration, except for the targets and the interval. */
async function startPrometheus(targets: string[]): Promise<string> {
  const folder = scratchFolder(ending)
  const deployed = readFileSync('deploy/prometheus.yml', 'utf8')
  assert.match(deployed, /scrape_interval: 15s[\s\S]*\["127\.0\.0\.1:9464"\]/)
  const list = targets.map((target) => `'${target}'`).join()
  const text = deployed.replace('["127.0.0.1:9464"]', `[${list}]`).replace(': 15s', ': 1s')
  writeFileSync(join(folder, 'prometheus.yml'), text)
  copyFileSync('deploy/alerts.yaml', join(folder, 'alerts.yaml'))
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  const exited = once(child, 'exit')
  atTheEnd(ending, async () => {
    child.kill()
    await exited
  })
  const base = `http://127.0.0.1:${port}`
  await eventually('Prometheus is ready', () =>
    fetch(`${base}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  return base
}

/** The result of a query, each line with its labels. */
async function query(
  expression: string,
): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expression })}`)
  const { status, error, data } = (await answer.json()) as {
    status: string
    error?: string
    data: { result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  assert.equal(status, 'success', `${expression}: ${error}`)
  return data.result
}

describe('Prometheus', { skip: missing }, () => {
  it('scrapes two nodes and a server on SQLite', async () => {
    await eventually('all three are up', async () => {
      const up = await query('up{job="restante"} == 1')
      return up.length === servers.length
    })

    const nodes = await query('restante_build_info')
    assert.equal(nodes.length, servers.length)
  })

  it('has data for every query of the dashboard', async (t) => {
    const panels = panelsOf(readFileSync('deploy/grafana.json', 'utf8'))
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    assert.ok(queries.length > 20)
    assert.equal(panels.filter(({ type }) => type === 'row').length, 5)
    const sqlite = servers[2] as ServerProcess
    backUp(fileOf(sqlite.database), join(scratchFolder(t), 'copy.db'))

    let empty = queries
    await eventually('each query gives something', async () => {
      for (const server of servers) await beBusy(server)
      const answers = await Promise.all(
        empty.map(async (text) => {
          const result = await query(text.replaceAll('$__rate_interval', RATE_INTERVAL))
          return result.some(({ value: [, value] }) => value !== 'NaN')
        }),
      )
      empty = empty.filter((_, at) => !answers[at])
      return empty.length === 0
    }).catch(() => assert.fail(`No data for:\n${empty.join('\n')}`))

    async function beBusy(server: ServerProcess) {
      const { ada, bob } = await adaAndBob(server)
      const poll = await park(t, ada, 'wait=55')
      await bob.send(ada, 'wake up')
      await poll.answer()
      await bob.sendMany(ada, 3)
      await ada.acknowledge(2)
      await bob.send('nobody-here', 'text')
    }
  })

  it('evaluates every alert, and none of them fires', async () => {
    await eventually(
      'all rules were evaluated',
      async () => {
        const health = await rules()
        return health.length === 17 && health.every(({ health }) => health === 'ok')
      },
      90_000,
    )

    assert.deepEqual(
      (await rules()).filter(({ state }) => state === 'firing').map(({ name }) => name),
      [],
    )
  })
})

async function rules(): Promise<{ name: string; health: string; state: string }[]> {
  const answer = await fetch(`${url}/api/v1/rules`)
  const { data } = (await answer.json()) as {
    data: { groups: { rules: { name: string; health: string; state: string }[] }[] }
  }
  return data.groups.flatMap(({ rules: each }) => each)
}

function panelsOf(dashboard: string): { type: string; targets?: { expr: string }[] }[] {
  return (JSON.parse(dashboard) as { panels: { type: string; targets?: { expr: string }[] }[] }).panels
}
