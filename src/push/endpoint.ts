import { isIPv4, isIPv6 } from 'node:net'
import { isPublicName } from '../config/push.ts'
import { isPublicAddress } from './public-addresses.ts'

/** An endpoint that the server does not send to. Its message is a sentence for people. */
export class EndpointRefused extends Error {
  override readonly name = 'EndpointRefused'
}

/** Those that push services use. Others would let strangers have this server try the ports of a third. */
const PORTS = ['', '8443']

/**
 * Checks the syntax of an endpoint, and its address where it has one. Where a name leads is checked at the
 * connection itself, because that can change.
 *
 * @throws EndpointRefused
 */
export function checkEndpoint(endpoint: string, allowPrivate: boolean): URL {
  if (!URL.canParse(endpoint)) throw new EndpointRefused('It is no URL.')
  const url = new URL(endpoint)
  if (url.protocol !== 'https:') throw new EndpointRefused('Its scheme is not https.')
  if (url.username || url.password) throw new EndpointRefused('It has a user or a password in it.')
  // It is no part of a request: with it one subscription at a service could be many here.
  if (endpoint.includes('#')) throw new EndpointRefused('It has a fragment.')
  if (allowPrivate) return url
  if (!PORTS.includes(url.port)) throw new EndpointRefused('Its port is not 443 or 8443.')
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  const isAddress = isIPv4(host) || isIPv6(host)
  if (isAddress && !isPublicAddress(host)) throw new EndpointRefused(`${host} is no public address.`)
  if (!isAddress && !isPublicName(host)) throw new EndpointRefused(`${host} is no public name.`)
  return url
}
