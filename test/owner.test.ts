/** Nobody can lock an owner out. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Client, newName, passwordOf, range } from './support/client.ts'
import { shareServer } from './support/servers.ts'

const ON = { RATE_LIMITS: 'on', TRUST_PROXY: 'loopback' }

/** How long a login may take while others guess. */
const OWNER_MS_MAX = 10_000

const sharedServer = shareServer(ON)

/** Makes the request come from that address, as forwarded by the proxy. */
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })

const login = (client: Client, username: string, address: string, password = passwordOf(username)) =>
  client.post('/v1/login', { username, password, takeover: true }, from(address))

let registrars = 0
/** Uses an address of its own, because registrations are limited. */
async function register(client: Client, name: string): Promise<string> {
  const username = newName(name)
  const body = { username, password: passwordOf(username) }
  const { status } = await client.post('/v1/register', body, from(`203.0.113.${++registrars}`))
  assert.equal(status, 201)
  return username
}

describe('the owner of a name under attack from fifty addresses', () => {
  it('logs in from a known address and from a new one within ten seconds', async () => {
    const client = new Client(await sharedServer())
    const ada = await register(client, 'ada')
    const grace = await register(client, 'grace')
    assert.equal((await login(client, ada, '192.0.2.1')).status, 200)

    const tried = new Map<string, number>()
    let refused = 0
    let attacked = false
    let onAttacked = () => {}
    const isAttacked = new Promise<void>((resolve) => {
      onAttacked = resolve
    })
    /** Half of them obey Retry-After, which is minutes. */
    async function attack(address: string, obeys: boolean) {
      while (!attacked) {
        const { status } = await login(client, ada, address, 'guess')
        if (status === 401) tried.set(address, (tried.get(address) ?? 0) + 1)
        else assert.equal(status, 429)
        if (status === 429 && ++refused === 200) onAttacked()
        if (status === 429 && obeys) return
      }
    }
    const attacks = Promise.all(range(1, 50).map((i) => attack(`198.51.100.${i}`, i % 2 === 0)))
    await Promise.race([isAttacked, attacks])
    const times: number[] = []
    const timed = async (person: typeof ada, address: string) => {
      const beganMs = performance.now()
      const answer = await login(client, person, address)
      times.push(performance.now() - beganMs)
      return answer
    }
    const answers = [
      await timed(ada, '192.0.2.1'),
      await timed(ada, '192.0.2.2'),
      await timed(ada, '2001:db8:1::1'),
      await timed(grace, '192.0.2.3'),
    ]
    attacked = true
    await attacks

    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    )
    assert.ok(Math.max(...times) < OWNER_MS_MAX, `${times} ms`)
    assert.ok(Math.max(...tried.values()) <= 11, 'an address guessed on')
  })

  it('can change the password and delete the account meanwhile, and log in after wrong confirmations', async () => {
    const client = new Client(await sharedServer())
    const ada = await register(client, 'ada')
    const { body } = await login(client, ada, '192.0.2.11')
    const guesses = range(1, 30).flatMap((i) =>
      range(1, 12).map(() => login(client, ada, `198.51.101.${i}`, 'guess')),
    )
    await Promise.all(guesses)
    const confirm = (current: string) =>
      client.request('PUT', '/v1/me/password', { token: body.token, body: { current, new: passwordOf(ada) } })

    assert.equal((await confirm(passwordOf(ada))).status, 204)
    const wrong = await Promise.all(range(1, 12).map(() => confirm('a wrong guess')))
    assert.deepEqual(wrong.map(({ status }) => status).sort(), [...Array(10).fill(403), 429, 429])
    const again = await login(client, ada, '192.0.2.11')
    assert.equal(again.status, 200)
    const deletion = await client.post(
      '/v1/me/delete',
      { password: passwordOf(ada) },
      { token: again.body.token },
    )
    assert.equal(deletion.status, 204)
  })
})

describe('a guess', () => {
  it('is limited for an unknown name like for any other, in upper or lower case', async () => {
    const client = new Client(await sharedServer())
    const ada = await register(client, 'ada')

    for (const name of [ada, newName('nobody')]) {
      const names = [name, name.toUpperCase()]
      const guess = (i: number) => login(client, names[i % 2] as string, '192.0.2.21', 'guess')
      const guesses = await Promise.all(range(1, 15).map(guess))
      const statuses = guesses.map(({ status }) => status).sort()
      assert.deepEqual(statuses, [...Array(10).fill(401), ...Array(5).fill(429)])
      const refused = await guess(16)
      assert.deepEqual([refused.status, refused.body.code], [429, 'too_many_attempts'])
      const seconds = Number(refused.headers.get('retry-after'))
      assert.ok(seconds > 290 && seconds <= 300, `Retry-After is ${seconds}`)
    }
    const right = await login(client, ada, '192.0.2.21')
    assert.equal(right.status, 429, 'nobody learns there which password is right')
  })

  it('does not count when the request was invalid', async () => {
    const client = new Client(await sharedServer())

    for (const _ of range(1, 15)) assert.equal((await login(client, 'alan', '192.0.2.22', '')).status, 400)
    assert.equal((await login(client, 'alan', '192.0.2.22', 'guess')).status, 401)
  })
})

describe('a registration', () => {
  const tryOne = (client: Client, address: string, username: string, password = 'long enough') =>
    client.post('/v1/register', { username, password }, from(address))

  it('counts for its address when the name is taken, and not when the request was invalid', async () => {
    const client = new Client(await sharedServer())
    const ada = await register(client, 'ada')

    for (const _ of range(1, 30)) assert.equal((await tryOne(client, '192.0.2.31', ada, 'short')).status, 400)
    for (const _ of range(1, 19)) assert.equal((await tryOne(client, '192.0.2.31', ada)).status, 409)
    assert.equal((await tryOne(client, '192.0.2.31', newName('new'))).status, 201)
    const refused = await tryOne(client, '192.0.2.31', newName('new'))
    assert.deepEqual([refused.status, refused.body.code], [429, 'too_many_attempts'])
    const seconds = Number(refused.headers.get('retry-after'))
    assert.ok(seconds > 300 && seconds <= 360, `Retry-After is ${seconds}`)
    assert.equal((await tryOne(client, '192.0.2.32', newName('new'))).status, 201)
  })
})
