import { createECDH } from 'node:crypto'
import type { Variable } from './values.ts'

/** Names with a meaning only inside a network: RFC 6761, 6762, 7686, 8375, and ICANN's `.internal`. */
const PRIVATE_SUFFIXES = ['localhost', 'local', 'internal', 'onion', 'home.arpa']

/** @param name in lower case, with or without a trailing dot */
export function isPublicName(name: string): boolean {
  const absolute = name.replace(/\.$/, '')
  return (
    absolute.includes('.') &&
    !PRIVATE_SUFFIXES.some((suffix) => absolute === suffix || absolute.endsWith(`.${suffix}`))
  )
}

/** Top-level domains that never exist: RFC 2606. */
const NO_DOMAIN = /\.(test|invalid)$/

/**
 * The operator's contact for push services (RFC 8292 §2.1). Their requirements differ: Apple answers
 * `BadJwtToken` to an address without `mailto:`, with spaces, or with a host in a private network.
 */
export const pushSubject: Variable<false | string> = {
  name: 'PUSH_SUBJECT',
  defaultText: 'none',
  expected: 'none, mailto: followed by an e-mail address, or an https URL, whose host is a public name',
  parse: (value) => {
    if (value === 'none') return false
    return isSubject(value) ? value : undefined
  },
  hint: (value) => (isSubject(`mailto:${value}`) ? `Write mailto:${value}.` : undefined),
}

function isSubject(text: string): boolean {
  const [, host] =
    /^mailto:[\w.!#$&'*+/=^`{|}~-]+@([\w.-]+)$/.exec(text) ??
    /^https:\/\/([\w.-]+)(?::\d+)?(?:[/?#]\S*)?$/.exec(text) ??
    []
  if (host === undefined || !URL.canParse(`https://${host}`)) return false
  const name = new URL(`https://${host}`).hostname
  // A top-level domain begins with a letter; the last part of an IP address does not.
  return isPublicName(name) && /\.[a-z][a-z\d-]*$/.test(name) && !NO_DOMAIN.test(name)
}

/** A VAPID key pair, in base64url. */
export interface KeyPair {
  /** A point of P-256, uncompressed: 65 bytes. */
  publicKey: string
  /** 32 bytes. */
  privateKey: string
}

/**
 * Parses private keys, each 32 bytes in base64 or base64url, separated by commas, and derives the public
 * keys.
 *
 * @returns undefined when one is invalid
 */
export function readVapidKeys(text: string): [KeyPair, ...KeyPair[]] | undefined {
  const [first, ...others] = text.split(',').map((item) => keyPairOf(item.trim()))
  return first && others.every((pair) => pair !== undefined) ? [first, ...others] : undefined
}

function keyPairOf(text: string): KeyPair | undefined {
  if (!/^[\w+/-]{43}=?$/.test(text)) return undefined
  const privateKey = Buffer.from(text, 'base64')
  const curve = createECDH('prime256v1')
  try {
    curve.setPrivateKey(privateKey)
  } catch {
    // It is 0, or not below the order of the curve.
    return undefined
  }
  return { publicKey: curve.getPublicKey('base64url'), privateKey: privateKey.toString('base64url') }
}
