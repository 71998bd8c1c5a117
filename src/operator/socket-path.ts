import { existsSync, realpathSync } from 'node:fs'
import { connect } from 'node:net'
import { platform } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { SOCKET_BYTES_MAX } from '../config/addresses.ts'
import { type Config, ConfigurationError, databaseFile, isPostgres } from '../config.ts'
import { checkPrivateSocket } from '../private-files.ts'

/**
 * The path of the operator's socket: beside the SQLite file, symbolic links resolved. With PostgreSQL it must
 * be configured, since the database has no path here and several nodes may run.
 *
 * @returns undefined when there is no socket
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
    `OPS_SOCKET: The path ${path} has ${bytes} bytes; a socket path has at most ${SOCKET_BYTES_MAX}. Set a shorter path, or "off".`,
  ])
}

/**
 * Whether a server listens on the socket. A killed server leaves its socket behind.
 *
 * @throws UnsafeFile when the path is no socket, or belongs to another user
 */
export async function isListening(path: string): Promise<boolean> {
  if (!checkPrivateSocket(path)) return false
  return new Promise((answer, fail) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      answer(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // ENOENT: removed since the check.
      if (['ECONNREFUSED', 'ENOENT'].includes(error.code ?? '')) answer(false)
      else fail(error)
    })
  })
}
