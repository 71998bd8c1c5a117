/** Where hints may go: only to push services on the public internet. */
import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { describe, it, type TestContext } from 'node:test'
import { checkEndpoint, EndpointRefused, isPublicAddress } from '../src/push/endpoint.ts'
import { HttpsClient } from '../src/push/https-client.ts'
import { AddressRefused, checkedLookup, type Resolve } from '../src/push/lookup.ts'
import { atTheEnd } from './support/endings.ts'
import { CA, PushService } from './support/push-service.ts'
import { range } from './support/range.ts'

const TOKEN = 'c2VjcmV0'

/** Endpoints of real services, and equivalent ones. */
const ALLOWED = [
  `https://updates.push.services.mozilla.com/wpush/v2/${TOKEN}`,
  `https://fcm.googleapis.com/fcm/send/${TOKEN}`,
  `https://web.push.apple.com/${TOKEN}`,
  `https://db5p.notify.windows.com/w/?token=${TOKEN}`,
  'https://ntfy.example/upX?up=1',
  'https://push.example:443/x',
  'https://push.example:8443/x',
  'https://Push.Example/X',
  'https://93.184.216.34/x',
  'https://[2606:4700::1111]/x',
  'https://172.32.0.1/x',
  'https://[64:ff9b::5db8:d822]/x',
]

/** By the reason of the refusal. */
const REFUSED: Record<string, string[]> = {
  'It is not a URL.': ['//push.example/x', ''],
  'Its scheme is not https.': ['http://push.example/x', 'file:///etc/passwd', 'unix:/run/x.sock'],
  'Its port is not 443 or 8443.': [':0', ':22', ':80', ':6443'].map(
    (port) => `https://push.example${port}/x`,
  ),
  'It contains a user or a password.': ['https://u:p@push.example/x', 'https://push.example@127.0.0.1/x'],
  'is not a public name.': [
    'https://localhost/x',
    'https://LOCALHOST./x',
    'https://a.localhost/x',
    'https://intranet/x',
    'https://x.local/x',
    'https://x.internal/x',
    'https://x.onion/x',
    'https://x.home.arpa/x',
  ],
  '127.0.0.1 is not a public address.': [
    'https://127.0.0.1/x',
    'https://127.1/x',
    'https://2130706433/x',
    'https://0x7f000001/x',
    'https://0177.0.0.1/x',
    'https://127。0。0。1/x',
    'https://①②⑦.0.0.1/x',
    'https://127.0.0.1./x',
    'https:\\\\127.0.0.1\\x',
    'https:///127.0.0.1/x',
  ],
  'is not a public address.': [
    ...['0', '0.0.0.0', '[::]', '[::1]'],
    ...['10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.1.5'],
    ...['192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1'],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['[::ffff:127.0.0.1]', '[::7f00:1]', '[::ffff:0:7f00:1]', '[64:ff9b::7f00:1]', '[64:ff9b:1::a00:1]'],
    ...['[2002:7f00:1::1]', '[2001:0:0:1::1]'],
    ...['[fd00::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[2001:db8::1]', '[3fff::1]', '[100::1]'],
  ].map((host) => `https://${host}/x`),
  ' It is not a URL.': ['https://[fe80::1%25eth0]/x'],
}

/** Names that lead to forbidden addresses, which the connection detects. */
const REBOUND: Record<string, string[]> = {
  'to loopback': ['127.0.0.1'],
  'to a public address and a private one': ['93.184.216.34', '192.168.1.1'],
  'to a public address at first, and then to a private one': ['93.184.216.34', '127.0.0.1'],
}

it('76 forms of an endpoint are tried', () => {
  const forms = [...ALLOWED, ...Object.values(REFUSED).flat(), ...Object.keys(REBOUND)]

  assert.equal(new Set(forms).size, 76)
})

describe('an endpoint is allowed', () => {
  for (const endpoint of ALLOWED)
    it(endpoint, () => {
      const { pathname, search, host } = checkEndpoint(endpoint, false)

      assert.ok(endpoint.endsWith(pathname + search), 'its path is another')
      assert.ok(!host.endsWith(':443'))
    })
})

describe('an endpoint is refused, with the reason', () => {
  for (const [reason, endpoints] of Object.entries(REFUSED))
    for (const endpoint of endpoints)
      it(`${endpoint}: ${reason}`, () => {
        assert.throws(
          () => checkEndpoint(endpoint, false),
          (error) => error instanceof EndpointRefused && error.message.endsWith(reason.trim()),
        )
      })
})

describe('with PUSH_ALLOW_PRIVATE a private endpoint is allowed', () => {
  for (const endpoint of ['https://127.0.0.1:8000/x', 'https://ntfy.local/x', 'https://[fd00::1]:2586/x'])
    it(endpoint, () => {
      assert.equal(checkEndpoint(endpoint, true).href, endpoint)
    })

  for (const endpoint of ['http://127.0.0.1/x', 'https://u:p@ntfy.local/x', 'https://ntfy.local/x#2', ''])
    it(`but not ${endpoint || 'an empty one'}`, () => {
      assert.throws(() => checkEndpoint(endpoint, true), EndpointRefused)
    })
})

describe('an address is public or not, whatever its form', () => {
  const forms: [string, boolean][] = [
    ['::ffff:93.184.216.34', true],
    ['::ffff:10.0.0.1', false],
    ['64:ff9b::10.0.0.1', false],
    ['2a00:1450:4001::1', true],
    ['2001:200::1', true],
    ['fe80::1%eth0', false],
    ['2606:4700::1111%1', false],
    ['192.88.99.1', false],
    ['100.63.255.255', true],
    ['100.128.0.0', true],
    ['', false],
    ['push.example', false],
    ['127.1', false],
  ]
  for (const [address, isPublic] of forms)
    it(`${JSON.stringify(address)}: ${isPublic}`, () => {
      assert.equal(isPublicAddress(address), isPublic)
    })
})

describe('a name is checked at the connection', () => {
  /** Posts to a name, once per answer of its name server. */
  const post = async (t: TestContext, endpoint: string, resolve: Resolve, allowPrivate = false) => {
    const client = new HttpsClient({ allowPrivate, resolve, ca: CA, connectMs: 5_000, totalMs: 5_000 })
    atTheEnd(t, () => client.close())
    return client.post(checkEndpoint(endpoint, true), {}, Buffer.from('hint'))
  }

  for (const [where, addresses] of Object.entries(REBOUND))
    it(`that leads ${where}: nothing is sent`, async (t) => {
      const service = await PushService.start(t)
      const endpoint = service.subscribe().endpoint.replace('127.0.0.1', 'push.example')
      const answers = where.includes('and then') ? addresses.map((address) => [address]) : [addresses]
      let asked = 0
      const resolve: Resolve = async () => answers[asked++] ?? []
      // The first address is public, at the subscription and when the endpoint is checked.
      if (answers.length > 1) assert.ok((await resolve('push.example')).every(isPublicAddress))

      await assert.rejects(post(t, endpoint, resolve), AddressRefused)

      assert.equal(asked, answers.length)
      assert.equal(service.connections, 0)
    })

  it('and an address that passed the name check is refused at the connection', async (t) => {
    const service = await PushService.start(t)
    // This bypasses the look-up, because addresses are not looked up.
    const { endpoint } = service.subscribe()

    await assert.rejects(
      post(t, endpoint, async () => []),
      AddressRefused,
    )
    assert.deepEqual([service.connections, service.faults], [0, []])
  })

  it('only a few of many addresses are tried, of both families, so that no third host is flooded', async () => {
    const all = range(1, 200).flatMap((at) => [`93.184.216.${at}`, `2606:4700::${at}`])
    const found = await new Promise<LookupAddress[]>((done, fail) => {
      const lookup = checkedLookup(async () => all, false)
      lookup('push.example', { all: true }, (error, addresses) =>
        error ? fail(error) : done(addresses as LookupAddress[]),
      )
    })

    assert.deepEqual(
      found.map(({ address, family }) => [address, family]),
      [
        ...range(1, 4).map((at) => [`93.184.216.${at}`, 4]),
        ...range(1, 4).map((at) => [`2606:4700::${at}`, 6]),
      ],
    )
  })

  it('one look-up per connection decides, and the connection uses its result', async (t) => {
    const service = await PushService.start(t)
    const endpoint = service.subscribe().endpoint.replace('127.0.0.1', 'push.example')
    let asked = 0
    const resolve: Resolve = async () => {
      asked += 1
      return ['127.0.0.1']
    }

    const { status } = await post(t, endpoint, resolve, true)

    assert.deepEqual([status, asked], [401, 1])
  })
})
