/** The address of a request, as limits count it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, readAddress, trustedProxies } from '../src/limits/address.ts'
import { Client, range } from './support/client.ts'
import { startServer } from './support/servers.ts'

const keyOf = (text: string) => readAddress(text)?.key
const networkOf = (text: string) => readAddress(text)?.network

const same = (...addresses: string[]) => {
  for (const address of addresses) assert.ok(keyOf(address), address)
  assert.equal(new Set(addresses.map(keyOf)).size, 1, String(addresses))
}
const different = (...addresses: string[]) =>
  assert.equal(new Set(addresses.map(keyOf)).size, addresses.length, String(addresses))

test('an address counts as its network', async (t) => {
  await t.test('an IPv4 address by itself', () => {
    different('192.0.2.1', '192.0.2.2', '127.0.0.1')
    assert.equal(networkOf('192.0.2.1'), undefined)
  })

  await t.test('an IPv6 address by the first 64 bits, and by the first 48', () => {
    same('2001:db8:1:2::', '2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff:ffff:ffff:ffff')
    different('2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2:2::1', '2001:db9:1:2::1', '::1')
    same('2001:db8::1', '2001:db8:0:0:1::', '2001:db8:0:0:1:2:3:4')
    same('::1', '::2', '::')
    assert.equal(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:ffff::1'))
    assert.notEqual(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:2:2::1'))
  })

  await t.test('however it is written', () => {
    same('2001:db8:1:a::1', '2001:DB8:1:A::1', '2001:0db8:0001:000a:0000:0000:0000:0001')
    same('fe80::1', 'fe80::2%eth0')
  })

  await t.test('an IPv4 address inside IPv6 by itself', () => {
    same('192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:ffff:C000:0201')
    same('192.0.2.1', '64:ff9b::192.0.2.1', '64:ff9b::c000:201', '64:ff9b:1::c000:201')
    same('192.0.2.1', '2002:c000:201::1', '2002:c000:0201:ffff::2', '::ffff:0:192.0.2.1')
    same('192.0.2.1', '2001:0:53aa:64c:0:ed7c:3fff:fdfe')
    different('::ffff:192.0.2.1', '::ffff:192.0.2.2', '64:ff9b::192.0.2.3', '2002:c000:204::1')
  })

  await t.test('without the port that some proxies write', () => {
    same('198.51.100.7', '198.51.100.7:1234', '198.51.100.7:1', '[::ffff:198.51.100.7]:80')
    same('2001:db8:1:2::1', '[2001:db8:1:2::1]', '[2001:db8:1:2::1]:443', ' 2001:db8:1:2::1 ')
  })

  await t.test('and nothing else is an address', () => {
    const garbage = ['', 'unknown', '_hidden', '1', '127.1', '0300.0.2.1', '0xc0000201', '3221225985']
    const broken = ['192.0.2.1:', '192.0.2.256', '192.0.2.1:80:80', '2001:db8::g', '[2001:db8::1', '::1]:80']
    const nasty = ['192.0.2.1, 192.0.2.2', '\u0000', '__proto__', 'x'.repeat(8_000), '[]:80', '%eth0']
    for (const text of [...garbage, ...broken, ...nasty, undefined])
      assert.equal(readAddress(text), undefined, text)
  })
})

test('a request is from the last address that can be read', () => {
  const at = (ip: string | undefined, ips?: string[]) => addressOf({ ip, ips }).key

  assert.equal(at('192.0.2.1'), '192.0.2.1')
  assert.equal(at('192.0.2.1', ['127.0.0.1', '192.0.2.1']), '192.0.2.1')
  assert.equal(at('unknown', ['127.0.0.1', 'unknown']), '127.0.0.1')
  assert.equal(at('unknown', ['127.0.0.1', '10.0.0.1:443', 'unknown']), '10.0.0.1')
  assert.equal(at(undefined), at(undefined), 'a connection that is gone')
})

test('a proxy is trusted with its port, too', () => {
  const trusts = trustedProxies('loopback,10.0.0.0/8,2001:db8::/32')

  for (const text of ['127.0.0.1', '10.1.2.3', '10.1.2.3:443', '::ffff:10.1.2.3', '[2001:db8::1]:443', '::1'])
    assert.equal(trusts(text), true, text)
  for (const text of ['192.0.2.1', '192.0.2.1:443', '2001:db9::1', 'unknown', '', undefined])
    assert.equal(trusts(text), false, text)
})

test('registrations are counted for the address of the client', async (t) => {
  /** More than one address may. */
  const TRIES = range(1, 25)
  let names = 0
  const refused = async (client: Client, forwardedFor: (i: number) => string) => {
    const answers = await Promise.all(
      TRIES.map((i) =>
        client.post(
          '/v1/register',
          { username: `name${++names}`, password: 'long enough' },
          { headers: { 'x-forwarded-for': forwardedFor(i) } },
        ),
      ),
    )
    return answers.filter(({ status }) => status === 429).length
  }

  await t.test('as a trusted proxy forwards it, and no other', async (t) => {
    const client = new Client(
      await startServer(t, { RATE_LIMITS: 'on', TRUST_PROXY: '127.0.0.1,10.0.0.0/8' }),
    )

    assert.equal(await refused(client, (i) => `192.0.2.${i}`), 0)
    assert.equal(await refused(client, (i) => `192.0.2.${i}, 198.51.100.1`), 5, 'what it got itself')
    assert.equal(await refused(client, (i) => `198.51.100.2:${i}`), 5, 'with a port')
    assert.equal(await refused(client, (i) => `[2001:db8::${i}]:${i}`), 5, 'in one network of 64 bits')
    assert.equal(await refused(client, (i) => `198.51.100.3, 10.0.0.1:${i}`), 5, 'by two proxies')
    assert.equal(await refused(client, (i) => `garbage${i}`), 5, 'the proxy, for what is no address')
  })

  await t.test('whatever a client writes into the header', async (t) => {
    const client = new Client(await startServer(t, { RATE_LIMITS: 'on' }))

    assert.equal(await refused(client, (i) => `192.0.2.${i}`), 5)
  })
})
