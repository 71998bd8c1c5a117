import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scratchFolder } from './databases.ts'
import { atTheEnd, type Ending } from './endings.ts'
import { eventually } from './eventually.ts'
import { freePort } from './postgres.ts'

/** A proxy that deploy/ has a configuration for. */
export interface ProxyKind {
  name: 'nginx' | 'Caddy'
  /** Why it cannot be run here; undefined when it can. */
  missing: string | undefined
  /**
   * Whether it repeats requests on another node that one refused with 503, or that have an Idempotency-Key.
   */
  repeatsRefused: boolean
  /** Starts it in front of two nodes. Resolves with its address when it answers. */
  start: (t: Ending, nodes: [string, string]) => Promise<string>
  /** Starts it in front of one node. */
  startAlone: (t: Ending, node: string) => Promise<string>
}

/** The PATH with the folders of server programs. */
export const PATH = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`

const NODES = ['node1:3000', 'node2:3000'] as const

const deployed = (file: string) =>
  readFileSync(fileURLToPath(new URL(`../../deploy/${file}`, import.meta.url)), 'utf8')

/** The replaced text must exist, otherwise the test would not use the deployed configuration. */
function replaced(text: string, from: string | RegExp, to: string): string {
  assert.ok(typeof from === 'string' ? text.includes(from) : from.test(text), `${from} is not in the file`)
  return text.replaceAll(from, to)
}

function withNodes(text: string, nodes: [string, string]): string {
  return NODES.reduce((draft, name, at) => replaced(draft, name, new URL(nodes[at] as string).host), text)
}

const ALONE = '127.0.0.1:3000'

const nginx: ProxyKind = {
  name: 'nginx',
  missing: missing('nginx', '-v'),
  repeatsRefused: true,
  start: (t, nodes) => startNginx(t, withNodes(deployed('two-nodes/nginx.conf'), nodes)),
  startAlone: async (t, node) => {
    const text = replaced(deployed('nginx.conf'), ALONE, new URL(node).host)
    return startNginx(t, replaced(text, 'listen 80;', `listen 127.0.0.1:${await freePort()};`))
  },
}

async function startNginx(t: Ending, deployedText: string): Promise<string> {
  const folder = scratchFolder(t)
  // Started by root, its workers run as another user.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  let text = replaced(deployedText, 'listen 443 ssl http2;', `listen 127.0.0.1:${port};`)
  text = replaced(text, /^ *ssl_.*\n/gm, '')
  text = replaced(
    text,
    'http {',
    `http {${places.map((name) => `${name}_temp_path ${folder}/${name};`).join('')}`,
  )
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, text)
  const directives = `daemon off; pid ${folder}/pid;`
  return run(t, port, 'nginx', ['-p', folder, '-e', 'stderr', '-c', file, '-g', directives], folder)
}

const caddy: ProxyKind = {
  name: 'Caddy',
  missing: missing('caddy', 'version'),
  repeatsRefused: false,
  start: (t, nodes) => startCaddy(t, withNodes(deployed('two-nodes/Caddyfile'), nodes)),
  startAlone: (t, node) => startCaddy(t, replaced(deployed('Caddyfile'), ALONE, new URL(node).host)),
}

async function startCaddy(t: Ending, deployedText: string): Promise<string> {
  const folder = scratchFolder(t)
  const port = await freePort()
  const text = replaced(deployedText, 'chat.example', `http://127.0.0.1:${port}`)
  const file = join(folder, 'Caddyfile')
  writeFileSync(file, `{\n\tadmin off\n}\n${text}`)
  return run(t, port, 'caddy', ['run', '--adapter', 'caddyfile', '--config', file], folder)
}

export const proxyKinds = [nginx, caddy]

export function missing(command: string, argument: string): string | undefined {
  const { error } = spawnSync(command, [argument], { env: { PATH } })
  return error && `${command} is not installed here, and is no package of npm.`
}

async function run(t: Ending, port: number, command: string, args: string[], home: string): Promise<string> {
  const child = spawn(command, args, { env: { PATH, HOME: home }, stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const exited = once(child, 'close')
  atTheEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  await eventually(`${command} listens`, async () => {
    assert.equal(child.exitCode, null, errors)
    return accepts(port)
  })
  return `http://127.0.0.1:${port}`
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  }).then((connected) => {
    socket.destroy()
    return connected as boolean
  })
}
