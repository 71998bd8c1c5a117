import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adaAndBob, Client, newName, passwordOf, range, seqsOf } from './support/client.ts'
import { onPostgres } from './support/databases.ts'
import { at } from './support/nodes.ts'
import { shareServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const server = shareServer()

describe('a blocked account', () => {
  it('is refused with "blocked", and what it sent before stays', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.send(ada, 'before')

    assert.equal((await ada.block(bob)).status, 204)

    const { status, body } = await bob.send(ada, 'after')
    assert.deepEqual([status, body.code], [403, 'blocked'])
    assert.deepEqual(seqsOf((await ada.poll({ wait: 0 })).body.messages), [1])
  })

  it('still gets messages, and sends them to others', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const carol = await client.join(newName('carol'))
    await ada.block(bob)

    assert.deepEqual(
      [(await ada.send(bob, 'hear')).status, (await bob.send(carol, 'hear')).status],
      [201, 201],
    )
  })

  it('gets the first answer again to a message whose idempotency key was accepted before', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const first = await bob.send(ada, 'once', 'a-key')
    await ada.block(bob)

    const again = await bob.send(ada, 'once', 'a-key')

    assert.deepEqual([again.status, again.body], [201, first.body])
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
  })

  it('does not see whether the other account is or was online; others do', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const carol = await client.join(newName('carol'))
    await ada.poll({ wait: 0 })
    await ada.block(bob)

    assert.deepEqual((await bob.user(ada)).body, { username: ada.username, displayName: ada.username })
    assert.equal((await carol.user(ada)).body.online, true)
    assert.equal((await ada.user(bob)).body.online, false)
  })

  it('can send again once it is unblocked', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await ada.block(bob)
    await bob.send(ada, 'refused')

    assert.equal((await ada.unblock(bob)).status, 204)

    assert.equal((await bob.send(ada, 'taken')).body.delivery, 'stored')
    assert.equal('online' in (await bob.user(ada)).body, true)
  })

  it('is refused by every node, and after a restart', async (t) => {
    const first = await startServer(t)
    const { ada, bob } = await adaAndBob(first)
    if (!onPostgres) {
      await ada.block(bob)
      await first.stop()
    }
    const other = await startServer(t, {}, first.database)
    // The other node has accepted a message of this pair before.
    if (onPostgres) {
      await at(other, bob).send(ada, 'taken')
      await ada.block(bob)
    }

    assert.equal((await at(other, bob).send(ada, 'refused')).body.code, 'blocked')
    await at(other, ada).unblock(bob)
    assert.equal((await at(other, bob).send(ada, 'taken')).status, 201)
    if (onPostgres) assert.equal((await bob.send(ada, 'taken')).status, 201)
  })

  it('is refused from the answer on, even while messages arrive continuously', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const blocking = ada.block(bob)
    const before = await Promise.all(range(1, 20).map(() => bob.send(ada, 'meanwhile')))
    await blocking

    const after = await Promise.all(range(1, 20).map(() => bob.send(ada, 'too late')))

    assert.ok(before.every(({ status }) => status === 201 || status === 403))
    assert.deepEqual(new Set(after.map(({ status }) => status)), new Set([403]))
  })
})

describe('the list of blocks', () => {
  it('has the names in order, with the time; to block or unblock twice changes nothing', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const abel = await client.join(newName('abel'))
    assert.deepEqual((await ada.blocks()).body, { blocks: [] })
    for (const somebody of [bob, abel]) assert.equal((await ada.block(somebody)).status, 204)
    const { blocks } = (await ada.blocks()).body
    assert.deepEqual(
      blocks.map(({ username }: { username: string }) => username),
      [abel.username, bob.username],
    )

    assert.equal((await ada.block(bob.username.toUpperCase())).status, 204)
    assert.deepEqual((await ada.blocks()).body.blocks, blocks)
    for (const _ of [1, 2]) assert.equal((await ada.unblock(bob)).status, 204)
    assert.deepEqual((await ada.blocks()).body.blocks, [blocks[0]])
    assert.deepEqual((await bob.blocks()).body, { blocks: [] })
  })

  it('refuses unknown names, and its own', async () => {
    const { ada } = await adaAndBob(await server())

    for (const answer of [await ada.block('nobody'), await ada.unblock('nobody')])
      assert.deepEqual([answer.status, answer.body.code], [404, 'user_not_found'])
    const own = await ada.block(ada)
    assert.deepEqual([own.status, own.body.code], [400, 'invalid_request'])
    assert.deepEqual(own.body.errors, [
      { pointer: '/path/username', detail: 'username must not be your own' },
    ])
    assert.deepEqual((await ada.blocks()).body, { blocks: [] })
  })

  it('forgets accounts that were deleted', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await ada.block(bob)
    await bob.request('POST', '/v1/me/delete', { body: { password: passwordOf(bob.username) } })

    assert.deepEqual((await ada.blocks()).body, { blocks: [] })
    assert.equal((await ada.unblock(bob)).body.code, 'user_not_found')
  })

  it('holds 1 000 accounts, and one more when another is unblocked', async () => {
    const { database, url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    await withSql(database, async ({ run }) => {
      const named = `crowd-${ada.username}-`
      const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)'
      await run(
        `INSERT INTO account (username, display_name, password_hash, created_at)
         ${numbers} SELECT '${named}' || i, '', '', account.created_at
                      FROM n, account WHERE username = '${ada.username}'`,
      )
      await run(
        `INSERT INTO block (account_id, blocked_id, created_at)
         SELECT ada.id, crowd.id, ada.created_at FROM account AS ada, account AS crowd
          WHERE ada.username = '${ada.username}' AND crowd.username LIKE '${named}%'`,
      )
    })
    const client = new Client({ url })
    const others = [bob, await client.join(newName('carol')), await client.join(newName('dave'))]

    const answers = await Promise.all(others.map((other) => ada.block(other)))

    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409, 409])
    assert.equal(answers.find(({ status }) => status === 409)?.body.code, 'too_many_blocks')
    const blocked = others[answers.findIndex(({ status }) => status === 204)]
    assert.ok(blocked)
    assert.equal((await ada.block(blocked)).status, 204)
    await ada.unblock(`crowd-${ada.username}-1`)
    const statuses = await Promise.all(others.map(async (other) => (await ada.block(other)).status))
    assert.deepEqual(statuses.sort(), [204, 204, 409])
  })

  it('belongs to its owner only', async () => {
    const client = new Client(await server())
    const ways: [string, string][] = [
      ['GET', ''],
      ['PUT', '/ada'],
      ['DELETE', '/ada'],
    ]
    for (const [method, path] of ways)
      assert.equal((await client.request(method, `/v1/me/blocks${path}`)).body.code, 'invalid_token')
  })
})
