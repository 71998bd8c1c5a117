import type { NetworkInterfaceInfo } from 'node:os'
import { resolve } from 'node:path'
import { type Config, databaseFile, isPostgres } from './config.ts'

/** The line or lines that a start shows: version, addresses, database. */
export interface StartNotice {
  version: string
  /** The URLs of the page. Undefined with `WEB=off`. */
  page?: string[]
  /** The URL of the API reference. */
  reference: string
  /** The path of the SQLite file, or the URL of the PostgreSQL database without its password. */
  database: string
}

/** Addresses that mean all interfaces. A browser cannot open them. */
const UNSPECIFIED = ['0.0.0.0', '::']

type Interfaces = Partial<Record<string, Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal'>[]>>

/**
 * @param port the port it listens on
 * @param interfaces those of this machine, from `node:os`
 */
export function startNotice(
  { host, web, databaseUrl }: Pick<Config, 'host' | 'web' | 'databaseUrl'>,
  version: string,
  port: number,
  interfaces: Interfaces,
): StartNotice {
  const urls = reachableHosts(host, interfaces).map((name) => `http://${name}:${port}/`)
  return {
    version,
    ...(web === 'on' && { page: urls }),
    reference: urls[0] + (web === 'on' ? 'docs/' : 'openapi.yaml'),
    database: databaseName(databaseUrl),
  }
}

/** The notice for a terminal. */
export function formatStartNotice({ version, page = [], reference, database }: StartNotice): string {
  const [first, ...others] = page
  const rows = [
    ...(first ? [['Page', first]] : []),
    ...others.map((url) => ['', url]),
    ['API reference', reference],
    ['Database', database],
  ]
  const table = rows.map(([name = '', value]) => `  ${name.padEnd(15)}${value}\n`).join('')
  return `\nRestante ${version}\n\n${table}\n  Ctrl+C stops it.\n\n`
}

/** Loopback first. Link-local addresses are left out: they need a zone, which browsers do not accept. */
function reachableHosts(host: string, interfaces: Interfaces): string[] {
  if (!UNSPECIFIED.includes(host)) return [bracketIpv6(host)]
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? [])
  const others = all
    .filter(({ internal, family }) => !internal && (host === '::' || family === 'IPv4'))
    .map(({ address }) => address)
  return ['127.0.0.1', ...others.filter((address) => !address.startsWith('fe80:')).map(bracketIpv6)]
}

const bracketIpv6 = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** Without user, password and options, which may contain a password too. */
export function databaseName(databaseUrl: string): string {
  if (!isPostgres(databaseUrl)) return resolve(databaseFile(databaseUrl))
  const { host, pathname } = new URL(databaseUrl)
  return `postgresql://${host}${pathname}`
}
