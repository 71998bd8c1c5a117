import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { readContract } from '../src/contract/document.ts'
import { readConfig } from './support/built.ts'
import { adaAndBob, Client, type Person, passwordOf, range } from './support/client.ts'
import { newDatabase, onPostgres } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { at, startNodes } from './support/nodes.ts'
import { shareServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'
import { forgedApplicationToken } from './support/tokens.ts'

const server = shareServer()

const tokenOf = async (owner: Person): Promise<string> => (await owner.createToken()).body.token

const bodiesOf = (messages: { body: string }[]) => messages.map(({ body }) => body)

describe('an application token', () => {
  it('is shown once, when it is created, and the store has only its hash', async () => {
    const { url, database } = await server()
    const { ada } = await adaAndBob({ url })

    const { status, body } = await ada.createToken({ name: 'Türklingel', expiresIn: 3_600 })
    const { token, ...shown } = body
    const later = await ada.createToken()

    assert.equal(status, 201)
    assert.match(token, /^rst_[0-9a-f]{72}$/)
    assert.deepEqual(Object.keys(shown), ['id', 'name', 'scope', 'createdAt', 'expiresAt'])
    assert.deepEqual([shown.name, shown.scope], ['Türklingel', 'send'])
    assert.equal(Date.parse(shown.expiresAt) - Date.parse(shown.createdAt), 3_600_000)
    assert.equal('expiresAt' in later.body, false)
    const { tokens } = (await ada.tokens()).body
    assert.deepEqual(tokens[0], shown)
    assert.deepEqual([tokens.length, tokens[1].id], [2, later.body.id])
    const rows = (await stored(database))['application_token'] ?? []
    const { hash } = rows.find(({ id }) => id === shown.id) as { hash: Uint8Array }
    assert.equal(Buffer.from(hash).toString('hex'), createHash('sha256').update(token).digest('hex'))
    assert.ok(!JSON.stringify(rows).includes(token.slice(4)))
  })

  it('sends, as JSON and as text, and sees the state of what it sent', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)

    const json = await client.post('/v1/messages', { to: bob.username, body: 'one' }, { token })
    const text = await client.sendText(token, bob, 'two')

    assert.deepEqual([json.status, text.status], [201, 201])
    const { messages } = (await bob.poll({ wait: 0 })).body
    assert.deepEqual(bodiesOf(messages), ['one', 'two'])
    assert.deepEqual(new Set(messages.map(({ from }: { from: string }) => from)), new Set([ada.username]))
    const { status, body } = await client.get(`/v1/messages/${text.body.id}`, { token })
    assert.deepEqual([status, body.state], [200, 'stored'])
  })

  it('is refused by every operation that does not list it', async () => {
    const { client, ada } = await adaAndBob(await server())
    const token = await tokenOf(ada)
    const operations = readContract(readConfig({})).operations.filter(({ authenticated }) => authenticated)
    const refused: string[] = []

    for (const { operationId, method, path } of operations) {
      const concrete = path
        .replace('{username}', ada.username)
        .replace('{id}', '01a20779-7500-71c9-b0a4-e83d57f2094b')
      const { status, body, headers } = await client.request(method, concrete, { token })
      if (status !== 403) continue
      assert.equal(body.code, 'insufficient_scope', operationId)
      assert.equal(headers.get('www-authenticate'), 'Bearer error="insufficient_scope"', operationId)
      refused.push(operationId)
    }

    const taking = ['sendMessage', 'sendText', 'getMessageStatus']
    assert.deepEqual(
      refused,
      operations.map(({ operationId }) => operationId).filter((id) => !taking.includes(id)),
    )
    assert.equal((await ada.user(ada)).body.online, false, 'It makes nobody online.')
    assert.equal(
      (await client.get('/v1/inbox', { token: forgedApplicationToken() })).body.code,
      'invalid_token',
    )
  })

  it('survives a new password and the end of every session', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)

    const passwords = { current: passwordOf(ada.username), new: 'a password that is new' }
    await ada.request('PUT', '/v1/me/password', { body: passwords })
    await ada.logout()

    assert.equal((await client.sendText(token, bob, 'still here')).status, 201)
  })

  it('is invalid from the answer to its revocation on, and only its owner can revoke it', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const { id, token } = (await ada.createToken()).body
    const other = await tokenOf(ada)
    await client.sendText(token, bob, 'before')

    assert.equal((await bob.revokeToken(id)).body.code, 'not_found')
    assert.equal((await client.sendText(token, bob, 'before')).status, 201)
    assert.equal((await ada.revokeToken(id.toUpperCase())).status, 204)

    const refused = await client.sendText(token, bob, 'after')
    assert.deepEqual([refused.status, refused.body.code], [401, 'invalid_token'])
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer error="invalid_token"')
    assert.equal((await ada.revokeToken(id)).body.code, 'not_found')
    assert.equal((await ada.revokeToken('no-uuid')).status, 400)
    assert.equal((await client.sendText(other, bob, 'the other one')).status, 201)
  })

  it('ends with its account', async () => {
    const { url, database } = await server()
    const { client, ada, bob } = await adaAndBob({ url })
    const { id, token } = (await ada.createToken()).body
    await client.sendText(token, bob, 'before')
    await ada.request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })

    assert.equal((await client.sendText(token, bob, 'after')).body.code, 'invalid_token')
    assert.ok(!JSON.stringify((await stored(database))['application_token']).includes(id))
  })

  it('is refused once it has expired, and not before', async () => {
    const { url, database } = await server()
    const { client, ada, bob } = await adaAndBob({ url })
    const { id, token } = (await ada.createToken({ name: 'short', expiresIn: 1 })).body
    const unused = (await ada.createToken({ name: 'unused', expiresIn: 3_600 })).body
    const set = 'UPDATE application_token SET expires_at = ? WHERE id = ?'
    await withSql(database, ({ run }) => run(set, new Date(Date.now() - 1_000), unused.id))

    await eventually('a second has passed', async () => {
      const { status, body } = await client.sendText(token, bob, 'tick')
      if (status === 201) return false
      assert.deepEqual([status, body.code], [401, 'invalid_token'])
      return true
    })
    assert.equal((await client.sendText(unused.token, bob, 'tock')).body.code, 'invalid_token')
    const { tokens } = (await ada.tokens()).body
    assert.deepEqual(
      tokens.map((token: { id: string }) => token.id),
      [id, unused.id],
    )
  })

  it('shows its owner when it was last used', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)
    const lastUsedAt = async () => (await ada.tokens()).body.tokens[0].lastUsedAt
    assert.equal(await lastUsedAt(), undefined)
    const { sentAt } = (await client.sendText(token, bob, 'now')).body

    await eventually('the use is written', async () => (await lastUsedAt()) !== undefined)
    const first = await lastUsedAt()
    assert.ok(first <= sentAt)
    await client.sendText(token, bob, 'again')
    assert.equal(await lastUsedAt(), first, 'It is written once an hour.')
  })

  it('has a name, and every fault in its request is 400', async () => {
    const { ada } = await adaAndBob(await server())
    const faults = [{}, { name: '' }, { name: 'x'.repeat(65) }, { name: 7 }]
    const lives = [0, -1, 1.5, '60', 315_360_001].map((expiresIn) => ({ name: 'a', expiresIn }))
    for (const body of [...faults, ...lives, { name: 'a', scope: 'send' }]) {
      const answer = await ada.createToken(body)
      assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], JSON.stringify(body))
    }
    assert.deepEqual((await ada.tokens()).body, { tokens: [] })
  })

  it('is one of a hundred; an expired one makes room', async () => {
    const { url, database } = await server()
    const { ada } = await adaAndBob({ url })

    const rows = range(1, 99).map((i) => [
      `token ${i}`,
      ada.username,
      'one of many',
      Buffer.from(`${i}`),
      new Date(),
    ])
    const values = rows.map(() => '(?, (SELECT id FROM account WHERE username = ?), ?, ?, ?)').join()
    await withSql(database, ({ run }) =>
      run(
        `INSERT INTO application_token (id, account_id, name, hash, created_at) VALUES ${values}`,
        ...rows.flat(),
      ),
    )
    const answers = await Promise.all(range(1, 3).map(() => ada.createToken()))

    const refused = answers.filter(({ status }) => status !== 201)
    assert.deepEqual(
      refused.map(({ status, body }) => [status, body.code]),
      Array.from({ length: 2 }, () => [409, 'too_many_tokens']),
    )
    const { id } = answers.find(({ status }) => status === 201)?.body ?? {}
    const set = 'UPDATE application_token SET expires_at = created_at WHERE id = ?'
    await withSql(database, ({ run }) => run(set, id))
    assert.equal((await ada.createToken()).status, 201)
    assert.equal((await ada.createToken()).body.code, 'too_many_tokens')
  })

  it('is refused on every node when one has revoked it, or deleted its account', async (t) => {
    // Only one node can have a SQLite file.
    const [here, there] = onPostgres
      ? await startNodes(t, await newDatabase(t))
      : [await server(), await server()]
    const { client, ada, bob } = await adaAndBob(here)
    const [first, second] = [(await ada.createToken()).body, (await ada.createToken()).body]
    const elsewhere = new Client(there)
    for (const { token } of [first, second])
      for (const node of [client, elsewhere])
        assert.equal((await node.sendText(token, bob, 'before')).status, 201)

    await ada.revokeToken(first.id)
    assert.equal((await elsewhere.sendText(first.token, bob, 'after')).status, 401)
    assert.equal((await elsewhere.sendText(second.token, bob, 'before')).status, 201)
    await at(there, ada).request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })
    assert.equal((await client.sendText(second.token, bob, 'after')).status, 401)
  })
})
