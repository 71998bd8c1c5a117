/** Moves a SQLite file to PostgreSQL without a visible change for clients. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client, type Message, passwordOf, range, seqsOf } from './support/client.ts'
import { runRestante } from './support/command.ts'
import { fileOf, newDatabase, scratchFolder } from './support/databases.ts'
import { at } from './support/nodes.ts'
import { PUSH } from './support/push.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { type StartedServer, shareServer, startServer } from './support/servers.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'
import { withSql } from './support/sql.ts'
import { tablesOf } from './support/stored.ts'
import { newReceiver } from './support/web-push.ts'

const JWT_SECRET = 'the secret of the file and of all nodes'

let cluster: SharedCluster
before(async () => {
  cluster = await shareCluster()
})
after(() => cluster.stop())

const running = shareServer({ JWT_SECRET })

describe('restante move', () => {
  it('copies every table: tokens, messages, cursors, keys and counters', async (t) => {
    const old = await startServer(t, { ...PUSH, JWT_SECRET, SESSION_POLICY: 'multi' })
    const [ada, bob] = [await new Client(old).join('ada'), await new Client(old).join('bob')]
    // More than one statement copies.
    const ids = await bob.sendMany(ada, 120)
    const keyed = await bob.send(ada, '𝕏 "quoted" \\ and\nnew', 'a-key')
    await ada.acknowledge(3)
    // Once with a written receipt, once with a future one.
    const noted = (await sendWithReceipt(bob, bob, 'a note')).body.id
    await bob.acknowledge(1)
    const wanted = (await sendWithReceipt(bob, ada, 'Did you get this?')).body.id
    const user = (await bob.user(ada)).body
    const carol = await new Client(old).join('carol')
    await carol.request('POST', '/v1/me/delete', { body: { password: passwordOf('carol') } })
    const eve = await new Client(old).join('eve')
    await ada.block(eve)
    const { blocks } = (await ada.blocks()).body
    const [device, expired] = [{ name: 'device' }, { name: 'expired', expiresIn: 3_600 }]
    const { token } = (await ada.createToken(device)).body
    await ada.createToken(expired)
    const { tokens } = (await ada.tokens()).body
    const [used, unused] = [await invite(old), await invite(old)]
    await new Client(old).register('fay', undefined, used.code)
    await old.operator.administration.disable('fay')
    const invites = await old.operator.invites.list()
    const { p256dh, auth } = newReceiver()
    await ada.subscribe({ endpoint: 'https://127.0.0.1/push', keys: { p256dh, auth } })
    const { subscriptions } = (await ada.subscriptions()).body
    await old.stop()
    const tables = await withSql(old.database, (sql) => tablesOf(sql, old.database))

    const url = await cluster.createDatabase()
    const { stdout } = await move(url, fileOf(old.database))
    // The tables of Prisma and SQLite, and those that start empty.
    const others = ['_prisma_migrations', 'sqlite_sequence', 'store', 'node', 'presence']
    const moved = [...stdout.matchAll(/(\w+) \d+\b/g)].map(([, name]) => name)
    assert.deepEqual([...moved, ...others].sort(), tables)
    assert.match(
      stdout,
      /account 5, session 3, push_subscription 1, application_token 2, known_address 3, block 1, /,
    )
    assert.match(stdout, /, restored_range 0, idempotency_key 1, expired_message 0, invite 2\.\n$/)

    const node = await startServer(t, { JWT_SECRET, SESSION_POLICY: 'multi', REGISTRATION: 'invite' }, url)
    const [adaThere, bobThere] = [at(node, ada), at(node, bob)]
    assert.deepEqual((await adaThere.subscriptions()).body.subscriptions, subscriptions)
    assert.deepEqual((await bobThere.user(ada)).body, user)
    assert.deepEqual((await adaThere.blocks()).body.blocks, blocks)
    assert.equal((await at(node, eve).send(ada, 'refused')).body.code, 'blocked')
    assert.deepEqual((await adaThere.tokens()).body.tokens, tokens)
    assert.equal((await new Client(node).get(`/v1/messages/${ids[0]}`, { token })).status, 200)
    const { body } = await adaThere.poll({ wait: 0, limit: 500 })
    assert.deepEqual(seqsOf(body.messages), range(4, 122))
    assert.deepEqual(
      body.messages.slice(0, 117).map(({ id }: { id: string }) => id),
      ids.slice(3),
    )
    assert.deepEqual(
      [body.messages[117].body, body.messages[117].sentAt],
      ['𝕏 "quoted" \\ and\nnew', keyed.body.sentAt],
    )
    assert.deepEqual((await bobThere.send(ada, '𝕏 "quoted" \\ and\nnew', 'a-key')).body, keyed.body)
    assert.equal((await bobThere.status(ids[0] as string)).body.state, 'delivered')
    await bobThere.send(ada, 'the next', 'another-key')
    assert.deepEqual(seqsOf((await adaThere.poll({ after: 122, wait: 0 })).body.messages), [123])
    const notes = (await bobThere.poll({ after: 1, wait: 0 })).body.messages
    assert.deepEqual(
      notes.map(({ receiptFor }: Message) => receiptFor),
      [[noted], [wanted]],
    )
    assert.deepEqual(await node.operator.invites.list(), invites)
    assert.equal((await new Client(node).login('fay')).body.code, 'account_disabled')
    const register = async (username: string, code: string) =>
      (await new Client(node).register(username, undefined, code)).body.code
    assert.equal(await register('carol', used.code), 'invalid_invite')
    assert.equal(await register('carol', unused.code), 'username_taken')
    assert.equal(await register('dave', unused.code), undefined)
    assert.equal(await register('dora', (await invite(node)).code), undefined)
  })

  it('moves inboxes on when the file is a backup', async (t) => {
    const old = await running()
    const [ada, bob] = [await new Client(old).join('ada'), await new Client(old).join('bob')]
    await bob.send(ada, 'kept')
    const backup = join(scratchFolder(t), 'backup.db')
    await runRestante(old.database, ['backup', backup])
    await bob.send(ada, 'lost')

    const url = await cluster.createDatabase()
    const { stdout } = await move(url, backup)

    assert.match(stdout, /message 1, restored_range 2,/)
    const node = await startServer(t, { JWT_SECRET }, url)
    await at(node, bob).send(ada, 'after')
    const { body } = await at(node, ada).poll({ after: 2, wait: 0 })
    assert.deepEqual(body.gap, { from: 3, to: body.cursor - 1, reason: 'restored' })
    assert.equal(body.messages[0].body, 'after')
  })

  it('refuses a file that is in use, does not exist, or is no database', async (t) => {
    const url = await cluster.createDatabase()
    const other = join(scratchFolder(t), 'other.db')
    writeFileSync(
      other,
      'This is no database, but a text that is long enough to be taken for one. '.repeat(20),
    )

    for (const [path, reason] of [
      [fileOf((await running()).database), /in use by another Restante process/],
      ['/nowhere/restante.db', /^The file \/nowhere\/restante\.db does not exist\.\n$/],
      [other, /cannot be opened: .*not a database/],
    ] as const) {
      await assert.rejects(move(url, path), (error: { stderr: string }) => reason.test(error.stderr))
    }
  })

  it('refuses a database that is in use, and does not change it', async (t) => {
    const url = await cluster.createDatabase()
    const node = await startServer(t, { JWT_SECRET }, url)
    await new Client(node).register('bob')

    await assert.rejects(move(url, fileOf(await newDatabase(t))), { stderr: /not empty: account has rows/ })

    const names = await withSql(url, (sql) => sql.run('SELECT username FROM account'))
    assert.deepEqual(names, [{ username: 'bob' }])
  })
})

const invite = ({ operator }: StartedServer) =>
  operator.invites.create({ uses: 1, expiresInMs: undefined, note: 'for a friend' })

const move = (url: string, path: string) => runRestante(url, ['move', path], { env: { JWT_SECRET } })
