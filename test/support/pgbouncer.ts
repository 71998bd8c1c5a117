import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { scratchFolder } from './databases.ts'
import { atTheEnd, type Ending } from './endings.ts'
import { eventually } from './eventually.ts'
import { freePort } from './postgres.ts'

/** The PATH with the folders of server programs. */
const PATH = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`

/** Why it cannot be run here; undefined when it can. */
export const pgbouncerMissing = ((): string | undefined => {
  const { error } = spawnSync('pgbouncer', ['--version'], { env: { PATH } })
  return error && 'PgBouncer is not installed here, and is no package of npm.'
})()

/**
 * Starts PgBouncer in front of a database.
 *
 * @returns the DATABASE_URL through PgBouncer
 */
export async function startPgbouncer(
  t: Ending,
  database: string,
  mode: 'session' | 'transaction',
): Promise<string> {
  const folder = scratchFolder(t)
  // It does not run as root.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const url = new URL(database)
  const file = join(folder, 'pgbouncer.ini')
  writeFileSync(join(folder, 'users.txt'), `"${url.username}" "${url.password}"\n`)
  writeFileSync(
    file,
    `[databases]
* = host=${url.hostname} port=${url.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(folder, 'users.txt')}
pool_mode = ${mode}
default_pool_size = 50
`,
  )
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn('pgbouncer', [...asUser, file], { env: { PATH }, stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const exited = once(child, 'close')
  atTheEnd(t, async () => {
    child.kill('SIGKILL')
    await exited
  })
  await eventually('PgBouncer listens', async () => {
    assert.equal(child.exitCode, null, log)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  })
  url.port = String(port)
  return url.href
}
