import type { NetworkInterfaceInfo } from 'node:os'
import { resolve } from 'node:path'
import { type Config, databaseFile, isPostgres } from '../config.ts'

/** What an operator wants to know of a start. */
export interface StartNotice {
  version: string
  /** Where the page is: addresses that a browser can open. None with `WEB=off`. */
  page?: string[]
  /** Where the API is described. */
  reference: string
  /** The path of the file, or host and name of the PostgreSQL database. */
  database: string
}

/** Addresses that mean all of the machine, and that no browser can open. */
const UNSPECIFIED = ['0.0.0.0', '::']

type Interfaces = Partial<Record<string, Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal'>[]>>

/**
 * @param port on which it listens
 * @param interfaces of this machine, as `node:os` has them
 */
export function startNotice(
  { host, web, databaseUrl }: Pick<Config, 'host' | 'web' | 'databaseUrl'>,
  version: string,
  port: number,
  interfaces: Interfaces,
): StartNotice {
  const urls = hostsToOpen(host, interfaces).map((name) => `http://${name}:${port}/`)
  return {
    version,
    ...(web === 'on' && { page: urls }),
    reference: urls[0] + (web === 'on' ? 'docs/' : 'openapi.yaml'),
    database: nameOf(databaseUrl),
  }
}

/** The notice for a terminal. */
export function linesOf({ version, page = [], reference, database }: StartNotice): string {
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

/** The machine itself comes first. Link-local addresses need a zone, which browsers do not take. */
function hostsToOpen(host: string, interfaces: Interfaces): string[] {
  if (!UNSPECIFIED.includes(host)) return [inUrl(host)]
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? [])
  const others = all
    .filter(({ internal, family }) => !internal && (host === '::' || family === 'IPv4'))
    .map(({ address }) => address)
  return ['127.0.0.1', ...others.filter((address) => !address.startsWith('fe80:')).map(inUrl)]
}

const inUrl = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** Without the user, the password and the options, which may have a password too. */
export function nameOf(databaseUrl: string): string {
  if (!isPostgres(databaseUrl)) return resolve(databaseFile(databaseUrl))
  const { host, pathname } = new URL(databaseUrl)
  return `postgresql://${host}${pathname}`
}
