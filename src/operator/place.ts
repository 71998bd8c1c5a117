import { existsSync, realpathSync } from 'node:fs'
import { connect } from 'node:net'
import { platform } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { SOCKET_BYTES_MAX } from '../config/addresses.ts'
import { type Config, ConfigurationError, databaseFile, isPostgres } from '../config.ts'
import { checkPrivateSocket } from '../private-files.ts'

/**
 * Where a running server hears the commands of its operator: beside the SQLite file, whatever name that is
 * known by. A PostgreSQL database has no place on this machine, and several nodes may: it has to be named.
 *
 * @returns undefined when it hears none
 * @throws ConfigurationError when the path is too long for a socket
 */
export function socketPath({
  opsSocket,
  databaseUrl,
}: Pick<Config, 'opsSocket' | 'databaseUrl'>): string | undefined {
  if (opsSocket !== 'auto') return opsSocket === 'off' ? undefined : opsSocket
  if (isPostgres(databaseUrl) || platform() === 'win32') return undefined
  const file = resolve(databaseFile(databaseUrl))
  const real = existsSync(file) ? realpathSync(file) : file
  const path = join(dirname(real), `${basename(real, '.db')}.sock`)
  const bytes = Buffer.byteLength(path)
  if (bytes <= SOCKET_BYTES_MAX) return path
  throw new ConfigurationError([
    `OPS_SOCKET: The path ${path} has ${bytes} bytes, and a socket takes ${SOCKET_BYTES_MAX}. Name a shorter one, or "off".`,
  ])
}

/**
 * Whether a server listens there. One that was killed leaves its socket behind.
 *
 * @throws UnsafeFile when there is no socket, or one of somebody else
 */
export async function isAnswered(path: string): Promise<boolean> {
  if (!checkPrivateSocket(path)) return false
  return new Promise((answer, fail) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      answer(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Also removed at this moment.
      if (['ECONNREFUSED', 'ENOENT'].includes(error.code ?? '')) answer(false)
      else fail(error)
    })
  })
}
