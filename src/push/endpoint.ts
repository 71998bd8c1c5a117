/** Which endpoints and addresses the server may connect to, so that hints never reach its own network. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { isPublicName } from '../config/push.ts'

/** The server does not send to this endpoint. The message is a sentence for people. */
export class EndpointRefused extends Error {
  override readonly name = 'EndpointRefused'
}

/** The ports that push services use. With others, a client could make this server scan ports. */
const PORTS = ['', '8443']

/**
 * Checks the syntax of an endpoint, and its address if the host is one. The addresses of a name are checked
 * at each connection, because they can change.
 *
 * @throws EndpointRefused
 */
export function checkEndpoint(endpoint: string, allowPrivate: boolean): URL {
  if (!URL.canParse(endpoint)) throw new EndpointRefused('It is not a URL.')
  const url = new URL(endpoint)
  if (url.protocol !== 'https:') throw new EndpointRefused('Its scheme is not https.')
  if (url.username || url.password) throw new EndpointRefused('It contains a user or a password.')
  // A fragment is never sent, so one subscription could be registered many times.
  if (endpoint.includes('#')) throw new EndpointRefused('It has a fragment.')
  if (allowPrivate) return url
  if (!PORTS.includes(url.port)) throw new EndpointRefused('Its port is not 443 or 8443.')
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  const isAddress = isIPv4(host) || isIPv6(host)
  if (isAddress && !isPublicAddress(host)) throw new EndpointRefused(`${host} is not a public address.`)
  if (!isAddress && !isPublicName(host)) throw new EndpointRefused(`${host} is not a public name.`)
  return url
}

/** The non-global networks of the IANA IPv4 Special-Purpose Address Registry, and multicast. */
const NOT_PUBLIC_4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const

/** Within `GLOBAL_UNICAST`: protocol assignments (such as Teredo), documentation, 6to4. */
const NOT_PUBLIC_6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

/** All that IANA has allocated. The rest is local, multicast, or embeds an IPv4 address. */
const GLOBAL_UNICAST = ['2000::', 3] as const

/** Networks that embed the IPv4 address to connect to in the last 32 bits: mapped, and NAT64 (RFC 6052). */
const WITH_IPV4 = [
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
] as const

const notPublic4 = new BlockList()
for (const [network, bits] of NOT_PUBLIC_4) notPublic4.addSubnet(network, bits, 'ipv4')

const listOf6 = (networks: readonly (readonly [string, number])[]) => {
  const list = new BlockList()
  for (const [network, bits] of networks) list.addSubnet(network, bits, 'ipv6')
  return list
}
const notPublic6 = listOf6(NOT_PUBLIC_6)
const globalUnicast = listOf6([GLOBAL_UNICAST])

/**
 * Whether an address belongs to the public internet, rather than this machine or its networks.
 *
 * @param address in the form of the system
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !notPublic4.check(address, 'ipv4')
  // An address with a zone is link-local.
  if (!isIPv6(address) || address.includes('%')) return false
  const inside = ipv4Inside(address)
  if (inside !== undefined) return isPublicAddress(inside)
  return globalUnicast.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6')
}

/** Not a `BlockList`: with mapped addresses in it, it matches every IPv4 address. */
function ipv4Inside(address: string): string | undefined {
  const parsed = ipaddr.IPv6.parse(address)
  const isInside = WITH_IPV4.some(([network, bits]) => parsed.match(ipaddr.IPv6.parse(network), bits))
  return isInside ? parsed.toByteArray().slice(-4).join('.') : undefined
}
