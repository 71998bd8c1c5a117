/** The commands of README.md and docs/clients.md, typed into a shell, give the output shown. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { markdownTable } from '../bench/support/report.ts'
import { readConfig } from './support/built.ts'
import { Client } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { startServer } from './support/servers.ts'
import { pathWithCurl } from './support/stand-ins/stand-ins.ts'

const root = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const README = root('README.md')
const MANUAL = root('docs/clients.md')

/** The first code block of that language below a heading. */
function block(heading: string, language: string, page = README): string {
  const [, section = ''] = page.split(`# ${heading}\n`)
  const [, code] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section) ?? []
  assert.ok(code, `There is a block of ${language} below "${heading}".`)
  return code
}

/** Replaces values that differ each time. */
const masked = (line: string) =>
  line
    .replaceAll(/"token":"[^"]+"/g, '"token":"…"')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'ID')

/** A shell for typed commands. */
function shell(t: TestContext) {
  // A process group of its own, so that its background jobs end with it.
  const child = spawn('bash', [], {
    cwd: scratchFolder(t),
    env: { PATH: pathWithCurl(t) },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  atTheEnd(t, () => process.kill(-(child.pid as number), 'SIGKILL'))
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  let typed = 0
  return {
    lines,
    /**
     * Types a command; resolves when the shell has read the next one, so that this one is finished or in the
     * background.
     */
    type: async (command: string) => {
      typed += 1
      child.stdin.write(`${command}\necho; echo done ${typed}\n`)
      await eventually(`the shell has done: ${command}`, async () => lines.includes(`done ${typed}`), 20_000)
    },
  }
}

test('the commands of README give the answers shown, and the loop the messages', async (t) => {
  const { url } = await startServer(t)
  const here = (text: string) => text.replaceAll('http://127.0.0.1:3000', url)
  const walk = here(block('With curl', 'console')).split('\n').filter(Boolean)
  const { lines, type } = shell(t)
  const client = new Client({ url })
  const witness = await client.join('witness')
  const online = async () => (await witness.user('ada')).body.online as boolean

  for (const command of walk.filter((line) => line.startsWith('$ '))) await type(command.slice(2))
  const shown = walk.filter((line) => !line.startsWith('$ '))
  const answers = () => lines.filter((line) => line !== '' && !line.startsWith('done '))
  await eventually('all answers are here', async () => answers().length >= shown.length)
  assert.deepEqual(answers().map(masked), shown.map(masked))

  lines.length = 0
  await type(`ADA="Authorization: Bearer $(cut -d '"' -f 4 ada.json)"`)
  await type(`( ${here(block('In a shell', 'sh', MANUAL))} ) &`)
  await eventually('the loop waits', online)
  await witness.send('ada', 'and so on')
  // An answer without an end of line may come before it.
  const shows = (text: string) =>
    eventually(`the loop shows "${text}"`, () => lines.some((line) => line.endsWith(text)))
  await shows('witness: and so on')

  for (const command of block('A notifier', 'sh').split('\n').filter(Boolean)) await type(command)
  await shows('grace: Backup failed')
})

test('the loop of the manual is that of examples/receive.sh, and has nothing that zsh does not take', () => {
  const shown = block('In a shell', 'sh', MANUAL)
  const parts = [
    ...root('examples/receive.sh').matchAll(
      /(?<=# docs\/clients.md has what follows.\n)[\s\S]*?(?=# Until here.)/g,
    ),
  ]

  assert.equal(shown.slice(shown.indexOf('SHOW=')), parts.join(''))
  // Typed into zsh, a comment is a command.
  assert.doesNotMatch(shown, /#|<<</)
})

test('README and .env.example name every variable with its default', () => {
  const inTable = [...README.matchAll(/^\| `([A-Z_]+)` +\| (?:`([^`]+)`|made[^|]+?) +\|/gm)]
  const table = inTable.map(([, name, value]) => [name, value ?? ''])
  const inExample = [...root('.env.example').matchAll(/^#([A-Z_]+)=(.*)$/gm)]
  const example = inExample.map(([, name, value]) => [name, value])
  assert.deepEqual(table, example)
  assert.deepEqual(readConfig(Object.fromEntries(table)), readConfig({}))

  const nonsense = new Proxy({}, { get: () => '?' })
  assert.throws(
    () => readConfig(nonsense),
    ({ errors }: { errors: string[] }) => {
      const names = errors.map((mistake) => mistake.split(':')[0])
      assert.deepEqual(names.sort(), table.map(([name]) => name).sort())
      return true
    },
  )
})

test('every file that README and the documents link to exists', () => {
  const documents = ['clients', 'decisions', 'durability', 'operating', 'scaling', 'security'].map(
    (name) => `docs/${name}.md`,
  )
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...documents, 'bench/README.md']
  const links = pages.flatMap((page) =>
    [...root(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(
      ([, target = '']) => page.replace(/[^/]*$/, '') + target,
    ),
  )
  const proofs = documents.flatMap((page) => [...root(page).matchAll(/(?<=`)(test|src)\/[\w/.-]+(?=`)/g)])
  assert.ok(links.length > 0 && proofs.length > 0)

  for (const path of [...links, ...proofs.map(([path]) => path)]) assert.doesNotThrow(() => root(path), path)
})

const OPERATING = root('docs/operating.md')

/** The headings of a page as GitHub's anchors. */
const anchorsOf = (page: string) =>
  [...root(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )

test('every heading that a page, an alert or a setting links to exists', () => {
  const pages = ['.', 'docs', 'deploy', 'bench']
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => /\.(md|yaml)$/.test(path))
  const links = pages.flatMap((page) =>
    [...root(page).matchAll(/(?:\]\(|runbook_url: )([\w./-]*)#([\w-]+)/g)].map(
      ([, path = '', anchor = '']) => {
        const folder = page.endsWith('.md') ? page.replace(/[^/]*$/, '') : ''
        return { page, target: path ? join(folder, path) : page, anchor }
      },
    ),
  )
  assert.ok(links.length > 100)
  const broken = links.filter(({ target, anchor }) => !anchorsOf(target).includes(anchor))
  assert.deepEqual(broken, [])
})

test('the table at the top of the runbook has every chapter', () => {
  const [contents = ''] = OPERATING.split('\n## ')
  const chapters = [...OPERATING.matchAll(/^## (.+)$/gm)].map(([, title]) => title)
  assert.deepEqual(
    chapters.filter((title) => !contents.includes(`[${title}](#`)),
    [],
  )
})

test('the runbook explains every line of the log, and no other', () => {
  const [, logs = ''] = OPERATING.split('\n## Logs\n')
  const explained = [...logs.matchAll(/^\| `([^`]+)` \((\w+)\)/gm)].map(([, text = '', level = '']) => ({
    text,
    level,
  }))
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !path.startsWith('generated'),
  )
  const sources = files.map((path) =>
    root(`src/${path}`).replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, ''),
  )
  const isSaid = (said: string) => (line: { text: string }) =>
    said.startsWith(line.text) || (line.text.startsWith('…') && said === line.text)

  const lines = sources.flatMap(linesOfLog)
  assert.ok(lines.length >= 15)
  for (const { level, text } of lines)
    assert.ok(
      explained.filter(isSaid(text)).some((line) => line.level === level),
      `${level}: ${text}`,
    )

  const texts = sources.flatMap((source) => textsIn(source))
  for (const line of explained)
    assert.ok(
      texts.some((text) => text.startsWith(line.text)),
      line.text,
    )

  const library = root('node_modules/close-with-grace/index.js')
  assert.ok(library.includes('killed by timeout'))
})

/** Replaces variable parts by an ellipsis. */
const textsIn = (code: string) =>
  [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`([^`]*)`/g)].map(([, plain, template = '']) =>
    (plain ?? template).replaceAll(/\$\{[^}]*\}/g, '…'),
  )

/** Sentences of a setting, of `.env` or of the secret, which are made elsewhere. */
const MADE_ELSEWHERE = /^(warning|message)$/

function linesOfLog(source: string): { level: string; text: string }[] {
  const calls = [
    ...source.matchAll(/\blog\??\.(info|warn|error|fatal)\(((?:[^()]|\([^()]*\))*)\)/g),
    ...source.matchAll(/\bfaults\.write\('(warn|error)', ([\s\S]*?)\)\n/g),
    ...source.matchAll(/#warnings\.(warn|over)\([^,]*,([\s\S]*?)\)\n/g),
  ]
  return calls.flatMap(([call, level = '', given = '']) => {
    if (MADE_ELSEWHERE.test(given)) return []
    const [constant] = /^[A-Z_]+$/.exec(given) ?? []
    const [, value = ''] = constant
      ? (new RegExp(`const ${constant} =([^\\n]*\\n[^\\n]*)`).exec(source) ?? [])
      : []
    const [text] = textsIn(constant ? value : given)
    assert.ok(text, `a text of ours in ${call}`)
    return [{ level: level === 'over' ? 'info' : level, text }]
  })
}

test('the command of the runbook makes every runbook_url absolute', () => {
  const [, script = ''] = /^ *sed '([^']+)' deploy\/alerts\.yaml/m.exec(OPERATING) ?? []
  const { stdout } = spawnSync('sed', [script, 'deploy/alerts.yaml'], { encoding: 'utf8' })
  const urls = [...stdout.matchAll(/runbook_url: (.*)$/gm)].map(([, url = '']) => url)
  assert.ok(urls.length > 0)
  for (const url of urls) assert.match(url, /^https:\/\/git\.example\/.*\/docs\/operating\.md#restante\w+$/)
})

/** The results of the last run of the benchmark. */
const RESULTS = JSON.parse(root('bench/results.json'))

function rowOf(scenario: string, what: string): { ours: number; floor: number; ratio: number; note: string } {
  const row = RESULTS.scenarios[scenario].rows.find((each: { what: string }) => each.what === what)
  assert.ok(row, what)
  return row
}

/** 14 451 as 14 500 */
const hundreds = (value: number) => (Math.round(value / 100) * 100).toLocaleString('en').replaceAll(',', ' ')

test('bench/README shows the last results, and README the same figures', () => {
  const [shown = ''] =
    /(?<=<!-- npm run bench -->\n)[\s\S]*(?=<!-- end -->)/.exec(root('bench/README.md')) ?? []
  // The formatter aligns the columns.
  const plain = (table: string) => table.trim().replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---')
  assert.equal(plain(shown), plain(markdownTable(RESULTS)))

  const sends = rowOf('send', 'durable sends, 64 connections, recipients away')
  const exchange = rowOf('roundtrip', 'send to answered poll, one pair, p50')
  const memory = rowOf('parked', 'memory of a parked poll, 10 000 parked')
  for (const figure of [
    `store ${hundreds(sends.ours)} durable messages per second`,
    `${sends.ratio.toFixed(2)} times`,
    `${exchange.ours.toFixed(2)} ms after`,
    `takes ${Math.round(memory.ours)} kB`,
  ])
    assert.ok(README.includes(figure), figure)
})

test('docs/scaling.md has the figures of the last results', () => {
  const scaling = root('docs/scaling.md').replaceAll(/ +/g, ' ')
  const send = rowOf('send', 'durable sends, 64 connections, recipients away')
  const nodesRow = (nodes: string) => rowOf('nodes', `durable sends, 64 connections, ${nodes} on PostgreSQL`)
  const microseconds = (note: string) => [...note.matchAll(/(\d+) µs/g)].map(([, digits]) => Number(digits))
  const [ofNodes = 0, ofDatabase = 0] = microseconds(nodesRow('1 node').note)
  const onSqlite = nodesRow('1 node').floor
  const poll = rowOf('parked', 'memory of a parked poll, 19 000 parked').ours
  const eightCores = 8_000_000 / ofDatabase
  const between = (part: string) => rowOf('nodes', `send to answered poll, one pair, two nodes, ${part}`)

  for (const figure of [
    `${hundreds(send.ours)} to ${hundreds(onSqlite)} durable sends per second`,
    `takes ${poll.toFixed(1)} kB, so 50 000 waiting people (\`CONNECTIONS_MAX\`) take ${Math.round(poll * 5) * 10} MB`,
    `| one node on SQLite | ${hundreds(onSqlite)} |`,
    ...['1 node', '2 nodes', '4 nodes'].map((nodes) => {
      const { ours, note } = nodesRow(nodes)
      return [
        `| ${nodes} on PostgreSQL`,
        hundreds(ours),
        ...microseconds(note).map((time) => `${time} µs`),
      ].join(' | ')
    }),
    `\`C × 1 000 000 / ${ofDatabase}\``,
    `${Math.round(eightCores / 1_000)} 000 with 8 cores. The nodes need ${ofNodes} µs`,
    `about ${Math.round((eightCores * ofNodes) / 1_000_000)} cores of nodes`,
    `descriptors for: ${poll.toFixed(1)} kB`,
    `p50 ${between('p50').ours.toFixed(1)} ms, p99 ${between('p99').ours.toFixed(1)} ms`,
    `p50 ${between('p50').floor.toFixed(1)} ms for both at one node`,
  ])
    assert.ok(scaling.includes(figure), figure)
})

test('the tables of limits list every rate of the source, its constants, and the defaults of settings', () => {
  const [, section = ''] = OPERATING.split('\n## Limits\n')
  const [text = ''] = section.replaceAll(/ +/g, ' ').split('\n### ')
  const units: Record<string, number> = { ms: 1, s: 1_000, min: 60_000, KiB: 2 ** 10, MiB: 2 ** 20 }
  const amountOf = (amount: string) => {
    const [, number = '', unit = ''] = /^([\d ]+?) ?([a-z]+)?$/i.exec(amount) ?? []
    return Number(number.replaceAll(' ', '')) * (units[unit] ?? 1)
  }
  const rates = [...text.matchAll(/^\|[^|]+\|[^|]+\| (\d[^|]*) \| (\d[^|]*) \|$/gm)].map(
    ([, burst = '', every = '']) => {
      const [amount = '', perSecond] = every.split(' per ')
      return [amountOf(burst), perSecond ? 1_000 / amountOf(amount) : amountOf(amount)].join()
    },
  )
  const files = readdirSync('src/limits').map((name) => `src/limits/${name}`)
  const sources = [...files, 'src/push/hints.ts'].map(root).join('')
  const inSource = [...sources.matchAll(/\{ burst: ([\d_*/ ()]+), everyMs: ([\w*/ ()]+)/g)].map((rate) =>
    rate
      .slice(1)
      .map((expression) => runInNewContext(expression, { MINUTE_MS: 60_000 }))
      .join(),
  )
  assert.ok(inSource.length > 20)
  assert.deepEqual(rates.sort(), inSource.sort())

  const amounts: [source: string, constant: RegExp, row: (figure: string) => string][] = [
    ['http/connections.ts', /HEADERS_BYTES_MAX = (.+)/, (bytes) => `head | ${amountOf(bytes) / 1_024} KiB,`],
    ['accounts/sessions.ts', /single: 1, multi: (\d+)/, (count) => `side by side | 1; ${count} with`],
    ['database/token-writes.ts', /TOKENS_MAX = (.+)/, (count) => `application tokens | ${count} |`],
    ['database/push-subscription-writes.ts', /SUBSCRIPTIONS_MAX = (.+)/, (n) => `subscriptions | ${n} |`],
    ['database/account-writes.ts', /BLOCKS_MAX = (.+)/, (count) => `blocked names | ${count} |`],
    ['inbox/mailbox.ts', /POLLS_PER_SESSION_MAX = (.+)/, (count) => `parked polls | ${count} per node`],
    ['inbox/read-turns.ts', /PAGES_PER_ACCOUNT_MAX = (.+)/, (count) => `an answer | ${count} per node`],
    ['inbox/commit-queue.ts', /WAITING_APPENDS_MAX = (.+)/, (count) => `for a commit | ${count} |`],
    ['accounts/password-queue.ts', /QUEUE_MAX = (.+)/, (n) => `hashes | ${n} for strangers, ${n} for others`],
    ['push/round-robin.ts', /\nconst SLOTS_MAX = (.+)/, (count) => `push services | ${count} at once`],
    ['push/service-queue.ts', /SLOTS_MAX = (.+)/, (count) => `at once, ${count} per service`],
    ['push/hint-sender.ts', /connectMs: (.+)_000/, (seconds) => `${seconds} s to connect`],
    ['push/hint-sender.ts', /totalMs: (.+)_000/, (seconds) => `${seconds} s in total`],
    ['push/hint-sender.ts', /HINTS_MAX = (.+)/, (count) => `hints waiting for push services | ${count},`],
    ['push/hint-sender.ts', /HINTS_PER_SERVICE_MAX = (.+)/, (count) => `, ${count} per service; others`],
    ['inbox/page-reads.ts', /PAGE_COST = (.+)/, (bytes) => `A page costs ${amountOf(bytes) / 1_024} KiB,`],
  ]
  for (const [source, constant, row] of amounts) {
    const [, figure = ''] = constant.exec(root(`src/${source}`)) ?? []
    assert.ok(text.includes(row(figure.replaceAll('_', ' '))), `${source}: ${constant} is ${figure}`)
  }

  const defaults = [...text.matchAll(/(\d[\d ]*?(?: [A-Za-z]+)?) \(`([A-Z_]+)`/g)]
  assert.equal(defaults.length, 8)
  for (const [, value = '', name] of defaults)
    assert.match(README, new RegExp(`^\\| \`${name}\` +\\| \`${value.replaceAll(' ', '')}\` `, 'm'))
})

test('the runbook has the measured disk and memory, and its sums are right', () => {
  const [, section = ''] = OPERATING.split('\n## How much disk and memory\n')
  const [text = ''] = section.replaceAll(/ +/g, ' ').split('\n## ')
  const { sqlite, postgres } = JSON.parse(root('bench/sizes.json'))
  const tens = (bytes: number) => (Math.round(bytes / 10) * 10).toLocaleString('en').replaceAll(',', ' ')
  const megabytes = (bytes: number) => Math.round(bytes / 1_000_000)
  const poll = rowOf('parked', 'memory of a parked poll, 19 000 parked').ours
  const session = Math.round(sqlite.memory.session / 100) / 10
  const resident = Math.ceil(sqlite.memory.resident / 10_000_000) * 10

  for (const figure of [
    `| an empty database | ${tens(sqlite.empty / 1_000)} kB |`,
    `| an account with a session | ${tens(sqlite.account)} B | ${tens(postgres.account)} B |`,
    `| a message of 100 bytes | ${tens(sqlite.message[100])} B | ${tens(postgres.message[100])} B |`,
    `| a message of 1 000 bytes | ${tens(sqlite.message[1000])} B | ${tens(postgres.message[1000])} B |`,
    `| ${tens(sqlite.idempotencyKey)} B | ${tens(postgres.idempotencyKey)} B |`,
    `| the write-ahead log under load | ${megabytes(sqlite.log)} MB | ${tens(postgres.walOfMessage)} B per message`,
    `| ${resident} MB on SQLite, ${Math.ceil(postgres.memory.resident / 10_000_000) * 10} MB for a node`,
    `| a session in use | ${session.toFixed(1)} kB |`,
    `| a parked poll, with one descriptor | ${poll.toFixed(1)} kB |`,
    `100 000 messages, ${megabytes(100_000 * (sqlite.message[100] + sqlite.idempotencyKey))} MB on SQLite`,
    `${resident} MB + 10 000 × (${poll.toFixed(1)} + ${session.toFixed(1)}) kB = ${Math.round(resident + 10 * (poll + session))} MB`,
  ])
    assert.ok(text.includes(figure), figure)
})
