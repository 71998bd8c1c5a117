import { lookup, Resolver } from 'node:dns/promises'
import { isIPv6, type LookupFunction } from 'node:net'
import { isPublicName } from '../config/push.ts'
import { isPublicAddress } from './public-addresses.ts'

/** @returns all addresses of a name, at least one */
export type Resolve = (name: string) => Promise<string[]>

/** A name leads to this machine or its network. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** Two tries of 0.7 and 1.4 s. */
const RESOLVER = { timeout: 700, tries: 2 }

/**
 * Asks the name servers itself. `dns.lookup` would take one of the four threads that hash passwords, for as
 * long as a stranger's name server likes.
 *
 * Names at home may be known to the hosts file or to mDNS only. So where private addresses are allowed, the
 * system is asked for those that are not public, and for those that the name servers do not know.
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
  // A new one each time: it reads which name servers there are when it is made.
  const resolver = new Resolver(RESOLVER)
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  const failure = answers.find((answer) => answer.status === 'rejected')
  if (addresses.length === 0) throw failure?.reason ?? new Error(`${name} has no address.`)
  return addresses
}

/** Addresses of each family that are tried: the owner of a name may have it lead to thousands of others. */
const ADDRESSES_MAX = 4

/**
 * Resolves a name for a connection, which goes to what was checked: no second look-up can lead elsewhere.
 *
 * @param allowPrivate whether every address will do
 */
export const checkedLookup =
  (resolve: Resolve, allowPrivate: boolean): LookupFunction =>
  (name, options, done) => {
    const found = resolve(name).then((addresses) => {
      // One bad address is enough: a name of an honest push service has none.
      if (!allowPrivate && !addresses.every(isPublicAddress))
        throw new AddressRefused(`${name} does not lead to public addresses only.`)
      const found = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
      return [4, 6].flatMap((of) => found.filter(({ family }) => family === of).slice(0, ADDRESSES_MAX))
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
