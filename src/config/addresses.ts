import { isIP, isIPv6 } from 'node:net'
import { platform } from 'node:os'
import { closestName } from '../closest-name.ts'
import { integer, type Variable } from './values.ts'

const itemsOf = (list: string) => list.split(',').map((item) => item.trim())

export const host: Variable<string> = {
  name: 'HOST',
  defaultText: '127.0.0.1',
  expected: 'a host name or address to listen on, such as 127.0.0.1, 0.0.0.0 or ::',
  parse: (value) => (isIP(value) !== 0 || /^[\w.-]+$/.test(value) ? value : undefined),
  hint: (value) => {
    const [, bracketed] = /^\[(.+)\]$/.exec(value) ?? []
    if (isIPv6(bracketed ?? '')) return `Write ${bracketed}.`
    const [, name, port] = /^(.+):(\d+)$/.exec(value) ?? []
    return port && `The port belongs in PORT: write ${name?.replaceAll(/[[\]]/g, '')}, and PORT=${port}.`
  },
}

/** The port of the metrics, on 127.0.0.1. */
export const opsPort: Variable<'off' | number> = {
  name: 'OPS_PORT',
  defaultText: 'off',
  expected: 'off, or a whole number from 0 to 65535',
  parse: (value) => (value === 'off' ? value : integer('OPS_PORT', 0, 0, 65_535).parse(value)),
}

export const isPostgres = (databaseUrl: string) => /^postgres(ql)?:\/\//.test(databaseUrl)

/** The URL of a PostgreSQL database contains the password. */
export const databaseUrl: Variable<string> = {
  name: 'DATABASE_URL',
  defaultText: 'file:./data/restante.db',
  expected: 'file: followed by a path, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
  redact: (value) => (isPostgres(value) ? withoutPassword(value) : value),
  parse: (value) => {
    const isUrl = isPostgres(value) && URL.canParse(value) && isUnambiguous(new URL(value))
    // SQLite would open ":memory:" without a file, and "file://host" is no path.
    return isUrl || /^file:(?!\s|:memory:|\/\/(?!\/))[^?]+$/.test(value) ? value : undefined
  },
  hint: (value) => {
    if (isPostgres(value))
      return 'In the user and the password, write %23 for #, %2F for /, %3A for :, %3F for ?, %40 for @.'
    if (/^file:.*\?/.test(value))
      return 'The path of a SQLite file takes no parameters: remove everything from "?" on.'
    return undefined
  },
}

/** An unescaped "/", "?" or "#" in a password ends the host; the rest then contains an "@". */
const isUnambiguous = ({ pathname, searchParams, hash }: URL) =>
  pathname.length > 1 && !hash && ![pathname, ...searchParams.keys()].some((text) => text.includes('@'))

/** Longer socket paths are silently cut, or refused with a bare error number. The last byte is 0: unix(7). */
export const SOCKET_BYTES_MAX = platform() === 'linux' ? 107 : 103

/** The path of the socket where the command `restante` finds the running server. */
export const opsSocket: Variable<string> = {
  name: 'OPS_SOCKET',
  defaultText: 'auto',
  expected: `auto, off, or a path with a "/" in it, of at most ${SOCKET_BYTES_MAX} bytes`,
  parse: (value) => {
    const isPath = value.includes('/') && !value.endsWith('/') && Buffer.byteLength(value) <= SOCKET_BYTES_MAX
    return isPath || ['auto', 'off'].includes(value) ? value : undefined
  },
}

const HIDDEN = '***'

/** The password may be in the authority or in the options; in an ambiguous URL it may be anywhere. */
function withoutPassword(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.hash || /@/.test(url.pathname + url.search)) return HIDDEN
  if (url.password) url.password = HIDDEN
  for (const name of ['password', 'sslpassword'])
    if (url.searchParams.get(name)) url.searchParams.set(name, HIDDEN)
  return url.href
}

/** The addresses of the proxies whose `X-Forwarded-For` is trusted. */
export const trustProxy: Variable<false | string> = {
  name: 'TRUST_PROXY',
  defaultText: 'off',
  expected: 'off, or a comma-separated list of addresses and networks such as loopback,10.0.0.0/8',
  parse: (value) => {
    if (value === 'off') return false
    const proxies = itemsOf(value)
    return proxies.every(isAddressOrNetwork) ? proxies.join(',') : undefined
  },
}

function isAddressOrNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  // A /0 network is refused: it would trust every client's header.
  const [address = '', bits = '1', ...rest] = text.split('/')
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= bitsMax
}

export const corsOrigin: Variable<string[]> = {
  name: 'CORS_ORIGIN',
  defaultText: 'off',
  expected:
    'off, *, or a comma-separated list of origins such as https://chat.example or capacitor://localhost',
  parse: (value) => {
    if (value === 'off') return []
    const origins = itemsOf(value)
    return origins.every((origin) => origin === '*' || origin === browserForm(origin)) ? origins : undefined
  },
  hint: (value) => {
    const origins = itemsOf(value)
    // Any page can send "null" from a sandboxed frame, so allowing it restricts nothing.
    if (origins.includes('null')) return 'Every sandboxed page has the origin "null": write * to allow all.'
    const sent = origins.map((origin) => (origin === '*' ? origin : browserForm(origin)))
    return sent.includes(undefined) ? undefined : `Write ${sent.join(',')}, as browsers send it.`
  },
}

/** Schemes without pages, or whose pages have an opaque origin. */
const NO_ORIGINS = ['file', 'ftp', 'ws', 'wss', 'data', 'blob', 'about', 'javascript']

/**
 * The origin in the form that browsers and web views send (RFC 6454 §6.2): lower case, no default port, no
 * path, no trailing slash. Requests are compared with it byte by byte.
 *
 * @returns undefined when the text is no origin
 */
function browserForm(text: string): string | undefined {
  const [origin = '', scheme = ''] = /^([a-z][a-z0-9+.-]*):\/\/[^/?#\s\\*]+/.exec(text.toLowerCase()) ?? []
  if (NO_ORIGINS.includes(scheme) || !URL.canParse(origin)) return undefined
  if (scheme === 'http' || scheme === 'https') return new URL(origin).origin
  // Apps in a web view have their own schemes. One that resembles http is a typing error.
  return closestName(scheme, ['http', 'https']) ? undefined : origin
}
