import { BlockList, isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Of the IANA IPv4 Special-Purpose Address Registry what is not global, and multicast. */
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

/** Inside of `GLOBAL_UNICAST`: protocols (Teredo among them), documentation, 6to4. */
const NOT_PUBLIC_6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

/** All that IANA has given out; what lies outside is local, multicast, or has an IPv4 address in it. */
const GLOBAL_UNICAST = ['2000::', 3] as const

/** An IPv4 address in the last 32 bits, which is what is connected to: mapped, and of NAT64 (RFC 6052). */
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
 * Whether an address belongs to the public internet: not to this machine, nor to its networks.
 *
 * @param address as the system writes it
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !notPublic4.check(address, 'ipv4')
  // One with a zone is of a network that this machine is in.
  if (!isIPv6(address) || address.includes('%')) return false
  const inside = ipv4Inside(address)
  if (inside !== undefined) return isPublicAddress(inside)
  return globalUnicast.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6')
}

/** No `BlockList`: one with mapped addresses in it takes each IPv4 address for one of them. */
function ipv4Inside(address: string): string | undefined {
  const parsed = ipaddr.IPv6.parse(address)
  const isInside = WITH_IPV4.some(([network, bits]) => parsed.match(ipaddr.IPv6.parse(network), bits))
  return isInside ? parsed.toByteArray().slice(-4).join('.') : undefined
}
