import { createECDH } from 'node:crypto'
import type { Variable } from './values.ts'

/** Names that mean something inside a network only: RFC 6761, 6762, 7686, 8375, and ICANN's `.internal`. */
const PRIVATE_SUFFIXES = ['localhost', 'local', 'internal', 'onion', 'home.arpa']

/** @param name in lower case, with or without a dot at its end */
export function isPublicName(name: string): boolean {
  const absolute = name.replace(/\.$/, '')
  return (
    absolute.includes('.') &&
    !PRIVATE_SUFFIXES.some((suffix) => absolute === suffix || absolute.endsWith(`.${suffix}`))
  )
}

/** What does not exist: RFC 2606. */
const NO_DOMAIN = /\.(test|invalid)$/

/**
 * How push services reach the operator (RFC 8292 §2.1). Each asks for something else. Apple's answers
 * `BadJwtToken` to an address without `mailto:`, to one with spaces, and to hosts of a private network.
 */
export const pushSubject: Variable<false | string> = {
  name: 'PUSH_SUBJECT',
  initial: 'none',
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
  // A top-level domain begins with a letter: not so the last part of an address.
  return isPublicName(name) && /\.[a-z][a-z\d-]*$/.test(name) && !NO_DOMAIN.test(name)
}

/** For push services, in base64url. */
export interface KeyPair {
  /** A point of P-256, uncompressed: 65 bytes. */
  publicKey: string
  /** 32 bytes. */
  privateKey: string
}

/**
 * Reads private keys, each 32 bytes in base64 or base64url, separated by commas. The public ones follow from
 * them.
 *
 * @returns undefined when one is none
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
    // Beyond the order of the curve, or 0.
    return undefined
  }
  return { publicKey: curve.getPublicKey('base64url'), privateKey: privateKey.toString('base64url') }
}
