import { isIP, isIPv6 } from 'node:net'
import { platform } from 'node:os'
import { nearest } from '../nearest.ts'
import { integer, type Variable } from './values.ts'

const itemsOf = (list: string) => list.split(',').map((item) => item.trim())

export const host: Variable<string> = {
  name: 'HOST',
  initial: '127.0.0.1',
  expected: 'a host name or address to listen on, such as 127.0.0.1, 0.0.0.0 or ::',
  parse: (value) => (isIP(value) !== 0 || /^[\w.-]+$/.test(value) ? value : undefined),
  hint: (value) => {
    const [, bracketed] = /^\[(.+)\]$/.exec(value) ?? []
    if (isIPv6(bracketed ?? '')) return `Write ${bracketed}.`
    const [, name, port] = /^(.+):(\d+)$/.exec(value) ?? []
    return port && `The port belongs into PORT: write ${name?.replaceAll(/[[\]]/g, '')}, and PORT=${port}.`
  },
}

/** Where the metrics are, on this machine's own address. */
export const opsPort: Variable<'off' | number> = {
  name: 'OPS_PORT',
  initial: 'off',
  expected: 'off, or a whole number from 0 to 65535',
  parse: (value) => (value === 'off' ? value : integer('OPS_PORT', 0, 0, 65_535).parse(value)),
}

export const isPostgres = (databaseUrl: string) => /^postgres(ql)?:\/\//.test(databaseUrl)

/** Of PostgreSQL it has the password in it. */
export const databaseUrl: Variable<string> = {
  name: 'DATABASE_URL',
  initial: 'file:./data/restante.db',
  expected: 'file: followed by a path, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
  shown: (value) => (isPostgres(value) ? withoutPassword(value) : value),
  parse: (value) => {
    const isUrl = isPostgres(value) && URL.canParse(value) && isWhole(new URL(value))
    // SQLite takes ":memory:" for no file at all. A path does not begin with the name of a host.
    return isUrl || /^file:(?!\s|:memory:|\/\/(?!\/))[^?]+$/.test(value) ? value : undefined
  },
  hint: (value) => {
    if (isPostgres(value))
      return 'In a user and a password write %23 for #, %2F for /, %3A for :, %3F for ?, %40 for @.'
    if (/^file:.*\?/.test(value))
      return 'The path of an SQLite file takes no parameters: leave out what begins with "?".'
    return undefined
  },
}

/** A "/", "?" or "#" in a password ends the host before it, and the rest looks like a name and options. */
const isWhole = ({ pathname, searchParams, hash }: URL) =>
  pathname.length > 1 && !hash && ![pathname, ...searchParams.keys()].some((text) => text.includes('@'))

/** A longer path of a socket is cut in silence, or refused by a number. The last byte is a zero: unix(7). */
export const SOCKET_BYTES_MAX = platform() === 'linux' ? 107 : 103

/** Where the command `restante` finds the running server. */
export const opsSocket: Variable<string> = {
  name: 'OPS_SOCKET',
  initial: 'auto',
  expected: `auto, off, or a path with a "/" in it, of at most ${SOCKET_BYTES_MAX} bytes`,
  parse: (value) => {
    const isPath = value.includes('/') && !value.endsWith('/') && Buffer.byteLength(value) <= SOCKET_BYTES_MAX
    return isPath || ['auto', 'off'].includes(value) ? value : undefined
  },
}

const HIDDEN = '***'

/** A URL of PostgreSQL may have its password in two places, and anywhere when it is not whole. */
function withoutPassword(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.hash || /@/.test(url.pathname + url.search)) return HIDDEN
  if (url.password) url.password = HIDDEN
  for (const name of ['password', 'sslpassword'])
    if (url.searchParams.get(name)) url.searchParams.set(name, HIDDEN)
  return url.href
}

/** Whose `X-Forwarded-For` is believed: nobody's, or that of proxies at these addresses. */
export const trustProxy: Variable<false | string> = {
  name: 'TRUST_PROXY',
  initial: 'off',
  expected: 'off, or a comma-separated list of addresses and networks such as loopback,10.0.0.0/8',
  parse: (value) => {
    if (value === 'off') return false
    const proxies = itemsOf(value)
    return proxies.every(isAddressOrNetwork) ? proxies.join(',') : undefined
  },
}

function isAddressOrNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  // No network is everybody: then anybody's header would be believed.
  const [address = '', bits = '1', ...rest] = text.split('/')
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= bitsMax
}

export const corsOrigin: Variable<string[]> = {
  name: 'CORS_ORIGIN',
  initial: 'off',
  expected:
    'off, *, or a comma-separated list of origins such as https://chat.example or capacitor://localhost',
  parse: (value) => {
    if (value === 'off') return []
    const origins = itemsOf(value)
    return origins.every((origin) => origin === '*' || origin === asSent(origin)) ? origins : undefined
  },
  hint: (value) => {
    const origins = itemsOf(value)
    // Any page can have it, in a sandboxed frame: a list with it would only look like a restriction.
    if (origins.includes('null'))
      return 'The origin "null" is that of any sandboxed page: write * to allow all.'
    const sent = origins.map((origin) => (origin === '*' ? origin : asSent(origin)))
    return sent.includes(undefined) ? undefined : `Write ${sent.join(',')}, as browsers send it.`
  },
}

/** Those whose pages have no origin of their own, or of which there are no pages. */
const NO_ORIGINS = ['file', 'ftp', 'ws', 'wss', 'data', 'blob', 'about', 'javascript']

/**
 * The origin of a page as browsers and web views send it, with which a request is compared byte by byte
 * (RFC 6454 §6.2): in lower case, without a default port, a path or a slash at the end.
 *
 * @returns undefined when the text is no address of a page
 */
function asSent(text: string): string | undefined {
  const [origin = '', scheme = ''] = /^([a-z][a-z0-9+.-]*):\/\/[^/?#\s\\*]+/.exec(text.toLowerCase()) ?? []
  if (NO_ORIGINS.includes(scheme) || !URL.canParse(origin)) return undefined
  if (scheme === 'http' || scheme === 'https') return new URL(origin).origin
  // Apps in a web view have schemes of their own. One that is nearly http is a slip.
  return nearest(scheme, ['http', 'https']) ? undefined : origin
}
