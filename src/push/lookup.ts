import { lookup, Resolver } from 'node:dns/promises'
import { isIPv6, type LookupFunction } from 'node:net'
import { isPublicName } from '../config/push.ts'
import { isPublicAddress } from './endpoint.ts'

/** @returns all addresses of a name, at least one */
export type Resolve = (name: string) => Promise<string[]>

/** A name resolves to this machine or its network. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** Two tries of 0.7 and 1.4 s. */
const RESOLVER = { timeout: 700, tries: 2 }

/**
 * Asks the name servers directly. `dns.lookup` would block one of the four threads that hash passwords, for
 * as long as a stranger's name server likes.
 *
 * Private names may be known only to the hosts file or mDNS. If private addresses are allowed, the system
 * resolves non-public names, and names that the name servers do not know.
 */
export const resolveWith =
  (allowPrivate: boolean): Resolve =>
  async (name) => {
    if (allowPrivate && !isPublicName(name)) return askSystem(name)
    try {
      return await askNameServers(name)
    } catch (error) {
      if (allowPrivate) return askSystem(name)
      throw error
    }
  }

const askSystem = async (name: string) => (await lookup(name, { all: true })).map(({ address }) => address)

async function askNameServers(name: string): Promise<string[]> {
  // A new one each time, because it reads the list of name servers only once.
  const resolver = new Resolver(RESOLVER)
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  const failure = answers.find((answer) => answer.status === 'rejected')
  if (addresses.length === 0) throw failure?.reason ?? new Error(`${name} has no address.`)
  return addresses
}

/** How many addresses per family are tried: a name may resolve to thousands of victims. */
const ADDRESSES_MAX = 4

/**
 * Resolves a name for a connection and checks the addresses. The connection uses them, so a second lookup
 * cannot return others.
 *
 * @param allowPrivate whether every address is allowed
 */
export const checkedLookup =
  (resolve: Resolve, allowPrivate: boolean): LookupFunction =>
  (name, options, done) => {
    const found = resolve(name).then((addresses) => {
      // One private address is enough: an honest push service has none.
      if (!allowPrivate && !addresses.every(isPublicAddress))
        throw new AddressRefused(`${name} does not resolve to public addresses only.`)
      const found = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
      return [4, 6].flatMap((each) => found.filter(({ family }) => family === each).slice(0, ADDRESSES_MAX))
    })
    found.then(
      (addresses) => {
        const [first] = addresses
        if (options.all) done(null, addresses)
        else done(null, first?.address ?? '', first?.family)
      },
      (error) => done(error, ''),
    )
  }
