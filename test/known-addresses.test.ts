/** The addresses from which an account has logged in, which guesses from elsewhere do not lock out. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Client, newName, passwordOf, range } from './support/client.ts'
import { shareServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const ON = { RATE_LIMITS: 'on', TRUST_PROXY: 'loopback' }

const sharedServer = shareServer(ON)

async function register(client: Client, name: string): Promise<string> {
  const username = newName(name)
  assert.equal((await client.register(username)).status, 201)
  return username
}

/** The request comes from that address, as forwarded by the proxy. */
const login = (client: Client, username: string, address: string, password = passwordOf(username)) =>
  client.post(
    '/v1/login',
    { username, password, takeover: true },
    { headers: { 'x-forwarded-for': address } },
  )

const knownAddresses = (database: string, username: string) =>
  withSql(database, async ({ run }) => {
    const rows = await run(
      `SELECT address, known_address.last_login_at FROM known_address JOIN account ON account.id = account_id
        WHERE username = ? ORDER BY 1`,
      username,
    )
    return rows.map(({ address, last_login_at }) => [
      Buffer.from(address as Uint8Array).toString('hex'),
      last_login_at,
    ])
  })

describe('an address from which an account has logged in', () => {
  it('is stored once, as a hash, and deleted with the account', async () => {
    const { database, url } = await sharedServer()
    const client = new Client({ url })
    const [ada, grace] = [await register(client, 'ada'), await register(client, 'grace')]

    await login(client, ada, '192.0.2.41', 'a wrong guess')
    assert.deepEqual(await knownAddresses(database, ada), [], 'a guess makes nothing known')
    await login(client, ada, '192.0.2.41')
    const first = await knownAddresses(database, ada)
    await login(client, ada, '192.0.2.41')
    assert.deepEqual(await knownAddresses(database, ada), first, 'not written again on the same day')
    for (const address of ['2001:db8::1', '2001:db8::2']) await login(client, ada, address)
    const { body } = await login(client, grace, '192.0.2.41')
    const hashes = [...(await knownAddresses(database, ada)), ...(await knownAddresses(database, grace))]
    assert.equal(new Set(hashes.map(([hash]) => hash)).size, 3, 'of each account another one')
    for (const [hash] of hashes) assert.match(String(hash), /^[0-9a-f]{32}$/)

    await client.post('/v1/me/delete', { password: passwordOf(grace) }, { token: body.token })
    assert.deepEqual(await knownAddresses(database, grace), [])
    assert.equal((await knownAddresses(database, ada)).length, 2)
  })

  it('is one of the newest twenty', async () => {
    const { database, url } = await sharedServer()
    const client = new Client({ url })
    const ada = await register(client, 'ada')
    for (const i of range(1, 20)) await login(client, ada, `192.0.2.${i}`)
    const twenty = (await knownAddresses(database, ada)).map(([hash]) => hash)

    await login(client, ada, '192.0.2.21')

    const now = (await knownAddresses(database, ada)).map(([hash]) => hash)
    assert.deepEqual([twenty.length, now.length], [20, 20])
    assert.equal(twenty.filter((hash) => now.includes(hash)).length, 19)
  })

  it('stays known when the secret is rotated, on every node', async (t) => {
    const [old, fresh] = ['the old secret that is long enough', 'the new secret that is long enough']
    const first = await startServer(t, { ...ON, JWT_SECRET: old })
    const ada = await register(new Client(first), 'ada')
    await login(new Client(first), ada, '192.0.2.1')
    await first.stop()
    const second = await startServer(t, { ...ON, JWT_SECRET: `${fresh},${old}` }, first.database)
    const before = await knownAddresses(second.database, ada)

    assert.equal((await login(new Client(second), ada, '192.0.2.1')).status, 200)

    assert.deepEqual(await knownAddresses(second.database, ada), before, 'it was known')
  })
})
