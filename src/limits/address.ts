import { isIP } from 'node:net'
import { compile } from '@fastify/proxy-addr'
import ipaddr from 'ipaddr.js'

/** The address of a client, as limits count it. */
export interface Address {
  /** An IPv4 address, or the first 64 bits of an IPv6 one: one customer has all of these (RFC 6177). */
  readonly key: string
  /** The first 48 bits of an IPv6 address, which may also be one site. Undefined for IPv4. */
  readonly network: string | undefined
}

/** The source of a request: `ips` only where a proxy is trusted, beginning with its address. */
interface Request {
  readonly ip: string | undefined
  readonly ips?: string[] | undefined
}

/** Of a connection that is gone already, or that has no address. */
const NOWHERE: Address = { key: 'nowhere', network: undefined }

/**
 * The source address of a request. Where a proxy forwards something that is not an address, the proxy's own
 * address counts.
 */
export function addressOf({ ip, ips }: Request): Address {
  const addresses = (ips ?? [ip]).map((text) => readAddress(text))
  return addresses.findLast((address) => address !== undefined) ?? NOWHERE
}

/** @returns undefined when the text is no address, with or without a port */
export function readAddress(text: string | undefined): Address | undefined {
  const plain = withoutPort(text ?? '')
  // The library alone takes `1` and `010.1.1.1`, too.
  if (isIP(plain) === 0 || !ipaddr.isValid(plain)) return undefined
  const address = ipaddr.parse(plain)
  if (address instanceof ipaddr.IPv4) return { key: address.toString(), network: undefined }
  const inner = innerIPv4(address)
  if (inner) return { key: inner, network: undefined }
  const groups = address.parts.map((group) => group.toString(16))
  return { key: `${groups.slice(0, 4).join(':')}::/64`, network: `${groups.slice(0, 3).join(':')}::/48` }
}

/**
 * The proxies whose `X-Forwarded-For` is trusted, for Fastify.
 *
 * @param list addresses, networks and names of networks, separated by commas
 */
export function trustedProxies(list: string): (text: string | undefined) => boolean {
  const trusts = compile(list.split(','))
  return (text) => trusts(withoutPort(text ?? ''), 0)
}

/** Some proxies write `ip:port` or `[ip]:port`. */
function withoutPort(text: string): string {
  const [, bracketed, ipv4] = /^\s*(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)\s*$/.exec(text) ?? []
  return bracketed ?? ipv4 ?? text.trim()
}

/**
 * The IPv4 address that an IPv6 one stands for: mapped (RFC 4291 §2.5.5.2), translated (RFC 6145), NAT64
 * (RFC 6052, 8215), 6to4 (RFC 3056) or Teredo (RFC 4380 §4).
 */
function innerIPv4(address: ipaddr.IPv6): string | undefined {
  const bytes = address.toByteArray()
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
    case 'rfc6052':
      return bytes.slice(12).join('.')
    case '6to4':
      return bytes.slice(2, 6).join('.')
    case 'teredo':
      return bytes
        .slice(12)
        .map((byte) => byte ^ 0xff)
        .join('.')
    default:
      return undefined
  }
}
