/**
 * Registration, and the operator's changes to accounts. On PostgreSQL two nodes serve one database: a change
 * on one is in force on the other.
 */
import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import type { ListedAccount } from '../src/database/database.ts'
import { PASSWORD_COST } from './support/accounts.ts'
import { Administration, openDatabase, Passwords, readConfig } from './support/built.ts'
import { Client, newName, type Person, passwordOf, range } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { newDatabase, onPostgres } from './support/databases.ts'
import { endOfSuite } from './support/endings.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { at } from './support/nodes.ts'
import { park } from './support/parked.ts'
import { type StartedServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'

const ending = endOfSuite()
const ENV = { REGISTRATION: 'invite', JWT_SECRET: 'the secret of both nodes of a test' }
let one: StartedServer
/** The other node, if there is one. */
let other: StartedServer
before(async () => {
  one = await startServer(ending, ENV, await newDatabase(ending))
  other = onPostgres ? await startServer(ending, ENV, one.database) : one
})

const RULES = { uses: 1, expiresInMs: undefined, note: undefined }
const register = (node: StartedServer, username: string, invite?: string) =>
  new Client(node).register(username, undefined, invite)
const usedOf = async (id: number) =>
  (await one.operator.invites.list()).find((invite) => invite.id === id)?.used

const assertRefused = ({ status, body }: Answer, expected: number, code: string) =>
  assert.deepEqual([status, body.code], [expected, code])

/** An account that the operator has added, logged in on the other node. */
async function added(name: string): Promise<Person> {
  const username = newName(name)
  await one.operator.administration.add({ username, password: passwordOf(username) })
  return new Client(other).enter(username)
}

describe('an invite', () => {
  it('creates as many accounts as it has uses, and its code may be typed in any form', async () => {
    const invite = await one.operator.invites.create({ ...RULES, uses: 2, note: 'the neighbours' })
    assert.match(invite.code, /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)

    const typed = invite.code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')
    assert.equal((await register(other, newName('ada'), typed)).status, 201)
    assert.equal((await register(one, newName('ada'), invite.code)).status, 201)

    assertRefused(await register(other, newName('ada'), invite.code), 403, 'invalid_invite')
    assert.equal(await usedOf(invite.id), 2)
    const rows = JSON.stringify((await stored(one.database))['invite'])
    assert.match(rows, /the neighbours/)
    for (const form of [invite.code, invite.code.replaceAll('-', '')])
      assert.ok(!rows.includes(form), 'the store has the code')
  })

  it('is refused in the same words when it is missing, unknown, malformed, expired or revoked', async () => {
    const expired = await one.operator.invites.create({ ...RULES, expiresInMs: 1 })
    const revoked = await one.operator.invites.create(RULES)
    await other.operator.invites.revoke(revoked.id)
    await assert.rejects(one.operator.invites.revoke(revoked.id), { code: 'not_found' })
    // Also with a taken name.
    const taken = (await added('taken')).username

    const codes = [undefined, '', '7ZKD-0QXM-V3TE-9HBW', 'no code', expired.code, revoked.code]
    const answers: Answer[] = []
    for (const code of codes)
      for (const name of [taken, newName('new')]) answers.push(await register(one, name, code))

    for (const answer of answers) assertRefused(answer, 403, 'invalid_invite')
    assert.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1)
  })

  it('is not used up by a name that is taken', async () => {
    const invite = await one.operator.invites.create(RULES)
    const taken = (await added('taken')).username

    assertRefused(await register(other, taken, invite.code), 409, 'username_taken')

    assert.equal(await usedOf(invite.id), 0)
    assert.equal((await register(one, newName('bob'), invite.code)).status, 201)
  })

  it('creates no more accounts than it has uses when many register at the same time', async () => {
    const invite = await one.operator.invites.create({ ...RULES, uses: 5 })

    const answers = await Promise.all(
      range(1, 16).map((i) => register(i % 2 ? one : other, newName('crowd'), invite.code)),
    )

    const statuses = answers.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 201).length, 5, String(statuses))
    assert.equal(statuses.filter((status) => status === 403).length, 11, String(statuses))
    assert.equal(await usedOf(invite.id), 5)
  })
})

describe('the operator', () => {
  it('adds an account whatever REGISTRATION is, by the rules of the contract', async () => {
    const { administration } = one.operator
    const ada = await added('Ada')

    const shown = await administration.show(ada.username)

    assert.deepEqual(
      [shown.username, shown.displayName],
      [ada.username.toLowerCase(), ada.username.toLowerCase()],
    )
    assert.deepEqual([shown.sessions.length, shown.tokens, shown.blocks], [1, [], 0])
    assert.ok(Math.abs((shown.lastLoginAtMs ?? 0) - Date.now()) < 60_000)
    const taken = { username: ada.username, password: 'long enough' }
    await assert.rejects(administration.add(taken), { code: 'username_taken' })
    for (const wrong of [
      { username: 'x', password: 'long enough' },
      { username: newName('ada'), password: 'short' },
      { username: newName('ada'), password: 'long enough', displayName: '' },
    ])
      await assert.rejects(administration.add(wrong), { code: 'invalid_request' })
  })

  it('sees all accounts, their unread messages, and the totals', async () => {
    const { administration } = one.operator
    const before = await administration.stats()
    const [ada, bob] = [await added('ada'), await added('bob')]
    await bob.sendMany(ada, 3)
    await ada.acknowledge(1)
    await ada.block(bob)
    await ada.createToken({ name: 'door bell' })
    await administration.disable(bob.username)

    // An acknowledgement may be written some time after its answer.
    await eventually('two are unread', async () => {
      const { inbox } = await administration.show(ada.username)
      return inbox.acknowledged === 1 && inbox.newest === 3 && inbox.unread === 2
    })

    const shown = await administration.show(ada.username)
    assert.deepEqual([shown.stored, shown.blocks, shown.tokens[0]?.name], [3, 1, 'door bell'])
    assert.equal(shown.disabledAtMs, undefined)
    const listed = await listedBy(administration)
    const [listedAda, listedBob] = [ada, bob].map(({ username }) =>
      listed.find((account) => account.username === username),
    )
    assert.deepEqual([listedAda?.sessions, listedAda?.inbox.unread], [1, 2])
    assert.ok((listedBob?.disabledAtMs ?? 0) > 0)
    const after = await administration.stats()
    const grown = (name: 'accounts' | 'disabled' | 'sessions' | 'stored' | 'unread') =>
      after[name] - before[name]
    assert.deepEqual(
      [grown('accounts'), grown('disabled'), grown('sessions'), grown('stored'), grown('unread')],
      [2, 1, 1, 3, 2],
    )
    assert.equal(after.accounts, listed.length)
    await assert.rejects(administration.show(newName('nobody')), { code: 'user_not_found' })
  })

  it('sees which accounts are online, and how many polls are parked', async (t) => {
    const ada = await added('ada')
    await park(t, ada, 'wait=55')

    const { parkedPolls } = await other.operator.administration.stats()

    assert.ok((parkedPolls ?? 0) >= 1)
    await eventually(
      'ada is online',
      async () => (await one.operator.administration.show(ada.username)).online,
    )
    assert.ok(((await one.operator.administration.stats()).online ?? 0) >= 1)
  })

  it('sees more accounts than one page has, each once', async () => {
    const url = await newDatabase(ending)
    await withSql(url, ({ run }) =>
      run(
        `INSERT INTO account (username, display_name, password_hash, created_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 401)
         SELECT 'user-' || i, '', '', '2026-11-26 12:00:00' FROM n`,
      ),
    )
    const database = await openOnly(url)

    const listed = await listedBy(administrationOf(database))
    const { accounts, online } = await administrationOf(database).stats()
    await database.close()

    assert.deepEqual(
      listed.map(({ username }) => username),
      range(1, 401).map((i) => `user-${i}`),
    )
    assert.deepEqual([accounts, online], [401, undefined])
  })

  it('sets a password: sessions end on every node, and application tokens stay', async (t) => {
    const ada = await added('ada')
    const { token } = (await ada.createToken()).body
    const poll = await park(t, ada, 'wait=55')

    await one.operator.administration.setPassword(ada.username, 'another password')

    assertRefused(await poll.answer(), 401, 'session_ended')
    assertRefused(await ada.me(), 401, 'session_ended')
    assert.equal((await new Client(other).sendText(token, ada, 'still here')).status, 201)
    assertRefused(await new Client(other).login(ada.username), 401, 'invalid_credentials')
    const entered = await new Client(other).login(ada.username, { password: 'another password' })
    assert.equal(entered.status, 200)
    const { administration } = one.operator
    await assert.rejects(administration.setPassword(ada.username, 'short'), { code: 'invalid_request' })
    await assert.rejects(administration.setPassword(newName('nobody'), 'long enough'), {
      code: 'user_not_found',
    })
  })

  it('disables an account: polls, sessions and tokens end at once, on every node, with the reason', async (t) => {
    const [ada, bob] = [await added('ada'), await added('bob')]
    const { token } = (await ada.createToken()).body
    const send = () => new Client(other).sendText(token, bob, 'from a device')
    assert.equal((await send()).status, 201)
    const poll = await park(t, ada, 'wait=55')
    const beganMs = performance.now()

    await one.operator.administration.disable(ada.username)

    const answer = await poll.answer()
    assert.ok(performance.now() - beganMs < AT_ONCE_MS)
    assertRefused(answer, 401, 'session_ended')
    assert.match(answer.body.detail, /^This account is disabled\./)
    const later = await ada.me()
    assertRefused(later, 401, 'session_ended')
    assert.equal(later.body.detail, answer.body.detail)
    assertRefused(await at(one, ada).me(), 401, 'session_ended')
    assertRefused(await send(), 401, 'invalid_token')
    assertRefused(await new Client(one).sendText(token, bob, 'from a device'), 401, 'invalid_token')
  })

  it('disables an account: only the right password reveals it, and messages are kept until it is enabled', async () => {
    const [ada, bob] = [await added('ada'), await added('bob')]
    const { token } = (await ada.createToken()).body
    const { administration } = one.operator
    await administration.disable(ada.username)
    const { disabledAtMs } = await administration.show(ada.username)
    await administration.disable(ada.username)
    assert.equal((await administration.show(ada.username)).disabledAtMs, disabledAtMs)

    const client = new Client(other)
    assertRefused(await client.login(ada.username), 403, 'account_disabled')
    assertRefused(await client.login(ada.username, { takeover: true }), 403, 'account_disabled')
    assertRefused(await client.login(ada.username, { password: 'a guess' }), 401, 'invalid_credentials')
    const sent = await bob.send(ada, 'for later')
    assert.deepEqual([sent.status, sent.body.delivery], [201, 'stored'])
    assert.equal((await bob.user(ada)).body.online, false)

    await other.operator.administration.enable(ada.username)
    await other.operator.administration.enable(ada.username)
    const { offlineMessages } = (await new Client(one).login(ada.username)).body
    assert.deepEqual(
      offlineMessages.map(({ body }: { body: string }) => body),
      ['for later'],
    )
    assert.equal((await client.sendText(token, bob, 'again')).status, 201)
    await assert.rejects(administration.enable(newName('nobody')), { code: 'user_not_found' })
  })

  it('deletes an account: all its sessions and tokens end, and its name is never given again', async (t) => {
    const ada = await added('ada')
    const { token } = (await ada.createToken()).body
    const poll = await park(t, ada, 'wait=55')

    await one.operator.administration.delete(ada.username)

    assertRefused(await poll.answer(), 401, 'session_ended')
    assertRefused(await new Client(other).sendText(token, ada, 'hello'), 401, 'invalid_token')
    assertRefused(await new Client(other).login(ada.username), 401, 'invalid_credentials')
    const invite = await one.operator.invites.create(RULES)
    assertRefused(await register(other, ada.username, invite.code), 409, 'username_taken')
    const { administration } = one.operator
    await assert.rejects(administration.delete(ada.username), { code: 'user_not_found' })
    await assert.rejects(administration.disable(ada.username), { code: 'user_not_found' })
  })
})

type Opened = Awaited<ReturnType<typeof openDatabase>>['database']

/** Like a command without a server. */
async function openOnly(url: string): Promise<Opened> {
  const config = readConfig({ DATABASE_URL: url, JWT_SECRET: ENV.JWT_SECRET })
  const lost = (error: Error) => {
    throw error
  }
  return (await openDatabase(config, { warn: () => {} }, lost)).database
}

async function listedBy(administration: { list: () => AsyncIterable<ListedAccount> }) {
  const listed: ListedAccount[] = []
  for await (const account of administration.list()) listed.push(account)
  return listed
}

const administrationOf = (database: Opened) =>
  new Administration(database, new Passwords(PASSWORD_COST), () => {}, Date.now)

describe('with another rule', () => {
  const startAgain = (t: TestContext, database: string, env: Record<string, string>) =>
    startServer(t, { JWT_SECRET: ENV.JWT_SECRET, ...env }, database)

  it('closed registration admits no one, and an operator without a server can still add accounts', async (t) => {
    const url = await newDatabase(t)
    // Nodes may run meanwhile; only one process at a time can use a SQLite file.
    const running = onPostgres ? await startAgain(t, url, { REGISTRATION: 'closed' }) : undefined
    const database = await openOnly(url)
    const administration = administrationOf(database)
    for (const username of ['ada', 'bob'])
      await administration.add({ username, password: passwordOf(username) })
    const { parked, device } = running ? await useIt(t, running) : {}
    await administration.disable('ada')
    if (parked) assertRefused(await parked.answer(), 401, 'session_ended')
    if (device) assertRefused(await device(), 401, 'invalid_token')
    await database.close()

    const server = running ?? (await startAgain(t, url, { REGISTRATION: 'closed' }))
    assertRefused(await register(server, 'ada'), 403, 'registration_closed')
    const { code } = await server.operator.invites.create(RULES)
    assertRefused(await register(server, 'carol', code), 403, 'registration_closed')
    assertRefused(await new Client(server).login('ada'), 403, 'account_disabled')
    assert.equal((await new Client(server).login('bob')).status, 200)
  })

  /** A parked poll, and a device that has sent. */
  async function useIt(t: TestContext, node: StartedServer) {
    const ada = await new Client(node).enter('ada')
    const { token } = (await ada.createToken()).body
    const device = () => new Client(node).sendText(token, 'bob', 'from a device')
    assert.equal((await device()).status, 201)
    return { parked: await park(t, ada, 'wait=55'), device }
  }

  it('an open server accepts everybody, and ignores used-up and expired invites', async (t) => {
    const server = await startAgain(t, await newDatabase(t), { RATE_LIMITS: 'on' })
    const invite = await server.operator.invites.create({ ...RULES, uses: 25 })
    for (const i of range(1, 25))
      assert.equal((await register(server, `invited-${i}`, invite.code)).status, 201)
    assert.equal((await server.operator.invites.list())[0]?.used, 25)

    // The invite is used up, so the limit of the address applies.
    for (const i of range(1, 20))
      assert.equal((await register(server, `open-${i}`, invite.code)).status, 201, String(i))
    assertRefused(await register(server, 'one-more', invite.code), 429, 'too_many_attempts')
    const another = await server.operator.invites.create(RULES)
    assert.equal((await register(server, 'one-more', another.code)).status, 201)
  })
})
