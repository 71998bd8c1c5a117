import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Client, newName, type Person, passwordOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { fileOf, itOnSqlite, onPostgres } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { shareServer, spawnServer, startServer } from './support/servers.ts'
import { stored } from './support/stored.ts'

const changePassword = (person: Person, current: string, next: string) =>
  person.request('PUT', '/v1/me/password', { body: { current, new: next } })

const deleteAccount = (person: Person, password = passwordOf(person.username)) =>
  person.request('POST', '/v1/me/delete', { body: { password } })

const assertRefused = ({ status, body }: Answer, code: string, because?: string) =>
  assert.deepEqual([status >= 400, body.code], [true, code], because)

const MULTI = { SESSION_POLICY: 'multi' }
const shared = shareServer(MULTI)

test('opening an account', async (t) => {
  const server = await shared()
  const client = new Client(server)
  const grace = await client.join('grace')

  await t.test('answers with the account and its address, which works for everybody', async () => {
    const { status, headers, body } = await client.post('/v1/register', {
      username: 'Ada',
      password: 'analytical engine no. 1',
      displayName: 'Ada Lovelace 🧮',
    })

    assert.equal(status, 201)
    assert.equal(headers.get('location'), '/v1/users/ada')
    assert.deepEqual([body.username, body.displayName], ['ada', 'Ada Lovelace 🧮'])
    assert.ok(Math.abs(Date.parse(body.createdAt) - Date.now()) < 60_000)
    const found = await grace.request('GET', '/v1/users/ADA')
    assert.deepEqual(found.body, { username: 'ada', displayName: 'Ada Lovelace 🧮', online: false })
  })

  await t.test('shows an account without a display name by its username in lower case', async () => {
    assert.equal((await client.register('Alan')).body.displayName, 'alan')
  })

  await t.test('accepts names of 3 to 32 characters with dots, dashes, digits and underscores', async () => {
    for (const username of ['abc', '0-0', 'a._-', 'z'.repeat(32)])
      assert.equal((await client.register(username)).status, 201, username)
  })

  await t.test('gives a name once, in upper or lower case', async () => {
    for (const username of ['grace', 'GRACE', 'Grace'])
      assertRefused(await client.register(username, 'another password'), 'username_taken')
    assert.equal((await grace.user('grace')).status, 200)
  })

  await t.test('gives a name once when many ask for it at the same time', async () => {
    const before = (await stored(server.database))['account']?.length ?? 0

    const names = ['joan', 'JOAN', 'jOan', 'Joan', 'joaN']
    const answers = await Promise.all(names.map((name) => client.register(name)))

    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409])
    assert.equal((await stored(server.database))['account']?.length, before + 1)
  })
})

test('logging in', async (t) => {
  const server = await shared()
  const client = new Client(server)
  const registered = async (name: string, password?: string) => {
    const username = newName(name)
    assert.equal((await client.register(username, password)).status, 201)
    return username
  }

  await t.test('accepts the name in any case and answers with it in lower case', async () => {
    const ada = await registered('ada')

    const { status, body } = await client.login(ada.toUpperCase(), { password: passwordOf(ada) })

    assert.deepEqual([status, body.username], [200, ada])
  })

  await t.test('accepts the password exactly as it was set', async () => {
    const password = ' Zoë’s ﬁne pass🔑word\n'
    const zoe = await registered('zoe', password)

    assert.equal((await client.login(zoe, { password })).status, 200)
    for (const other of [password.trim(), password.toLowerCase(), password.normalize('NFKC'), `${password} `])
      assert.equal((await client.login(zoe, { password: other })).status, 401, JSON.stringify(other))
  })

  await t.test('accepts a password however its letters are composed', async () => {
    const forms = ['Zo\u00eb’s password', 'Zoe\u0308’s password']
    for (const password of forms) {
      const username = await registered('zoe', password)
      for (const typed of forms) assert.equal((await client.login(username, { password: typed })).status, 200)
    }
  })

  await t.test('lower-cases only the ASCII letters of a name', async () => {
    const kate = await registered('kate')
    const password = passwordOf(kate)

    assert.equal((await client.login(kate.toUpperCase(), { password })).status, 200)
    for (const name of [
      kate.replace('k', '\u212a'),
      kate.replace('e', '\u00c9'),
      kate.replace('k', '\uff2b'),
    ])
      assert.equal((await client.login(name, { password })).status, 401, name)
  })

  await t.test('compares passwords to their last character', async () => {
    const password = '🔑'.repeat(256)
    const grace = await registered('grace', password)

    assert.equal((await client.login(grace, { password })).status, 200)
    assert.equal((await client.login(grace, { password: `${'🔑'.repeat(255)}🗝` })).status, 401)
  })

  await t.test(
    'gives the same answer for a wrong password and for an unknown, deleted or impossible name',
    async () => {
      const [ada, gone] = [await registered('ada'), await registered('gone')]
      await deleteAccount(await client.enter(gone))

      const answers = await Promise.all(
        [ada, 'nobody', gone, 'no such name!', 'x'].map((name) => client.login(name, { password: 'guess' })),
      )

      const [first, ...others] = answers.map(({ status, headers, body }) => ({
        status,
        body,
        headers: [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name)),
      }))
      assert.deepEqual([first?.status, first?.body.code], [401, 'invalid_credentials'])
      for (const other of others) assert.deepEqual(other, first)
    },
  )

  await t.test('stores no password, only its salted hash', async () => {
    const password = 'correct horse battery staple'
    const names = await Promise.all([registered('barbara', password), registered('edith', password)])
    await client.login(names[0] ?? '', { password })

    const everything = await stored(server.database)
    assert.ok(!JSON.stringify(everything).includes(password), 'the password is in a row')
    // The contents of PostgreSQL's files are its own.
    const folder = onPostgres ? undefined : dirname(fileOf(server.database))
    const files = folder ? readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile()) : []
    for (const { name } of files)
      assert.ok(!readFileSync(join(folder ?? '', name)).includes(password), `the password is in ${name}`)
    const hashes = await hashesOf(server, names)
    for (const hash of hashes) assert.match(hash, /^\$argon2id\$/)
    assert.equal(new Set(hashes).size, 2, 'the same password has the same hash twice')
  })
})

/** What the store has instead of the passwords of these accounts. */
async function hashesOf({ database }: { database: string }, usernames: string[]): Promise<string[]> {
  const rows = (await stored(database))['account'] ?? []
  return rows
    .filter(({ username }) => usernames.includes(String(username)))
    .map((row) => String(row['password_hash']))
}

// A process of its own: only there passwords cost as much as in production. The database plays no part.
itOnSqlite('a guess costs as much as a login, whether the name exists or not', async (t) => {
  const server = await spawnServer(t)
  const client = new Client(server)
  await client.register('ada')
  const [hash = ''] = await hashesOf(server, ['ada'])
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)

  const times: Record<string, number[]> = { ada: [], nobody: [], 'no name!': [] }
  for (let round = 0; round < 12; round += 1) {
    for (const [username, taken] of Object.entries(times)) {
      const started = performance.now()
      await client.login(username, { password: 'a wrong password' })
      taken.push(performance.now() - started)
    }
  }

  const medianOf = (taken: number[] = []) => taken.toSorted((a, b) => a - b)[taken.length / 2] ?? 0
  for (const name of ['nobody', 'no name!']) {
    // Without a password check, the answer would take a tenth of the time.
    const ratio = medianOf(times[name]) / medianOf(times['ada'])
    assert.ok(ratio > 0.5 && ratio < 2, `${name} takes ${ratio} of the time of a wrong password`)
  }
})

test('a session', async (t) => {
  const client = new Client(await shared())
  const ada = await client.join(newName('ada'))
  const { status, body } = await ada.request('POST', '/v1/token')

  await t.test('continues with a renewed token, and the old one still works', async () => {
    assert.equal(status, 200)
    assert.ok(Date.parse(body.expiresAt) > Date.now())
    for (const token of [body.token, ada.token])
      assert.equal((await client.get('/v1/users/ada', { token })).status, 200)
  })

  await t.test('ends with the logout, for all its tokens', async () => {
    assert.equal((await ada.logout()).status, 204)

    for (const token of [body.token, ada.token])
      assertRefused(await client.get('/v1/users/ada', { token }), 'session_ended')
  })
})

test('changing the password', async (t) => {
  const server = await shared()
  const client = new Client(server)

  await t.test('refuses a wrong current password and changes nothing', async () => {
    const ada = await client.join(newName('ada'))
    const phone = await client.enter(ada.username)
    await phone.acknowledge(0)
    const before = await stored(server.database)

    assertRefused(await changePassword(ada, 'wrong password', 'difference engine'), 'wrong_password')

    assert.deepEqual(await stored(server.database), before)
    assert.equal((await phone.me()).status, 200)
    assert.equal((await client.login(ada.username, { password: 'difference engine' })).status, 401)
  })

  await t.test('makes the new one valid and the old one invalid', async () => {
    const grace = await client.join(newName('grace'))

    assert.equal((await changePassword(grace, passwordOf(grace.username), 'difference engine')).status, 204)

    assertRefused(await client.login(grace.username), 'invalid_credentials')
    assert.equal((await client.login(grace.username, { password: 'difference engine' })).status, 200)
  })

  await t.test('ends the other sessions and their polls; the one that asks continues', async (t) => {
    const alan = await client.join(newName('alan'))
    const [phone, tablet] = [await client.enter(alan.username), await client.enter(alan.username)]
    const parked = await park(t, phone)

    await changePassword(alan, passwordOf(alan.username), 'difference engine')

    assertRefused(await parked.answer(), 'session_ended')
    assertRefused(await phone.me(), 'session_ended')
    assertRefused(await tablet.me(), 'session_ended')
    assert.equal((await alan.me()).status, 200)
  })

  await t.test('leaves no session of the old password, not even of a concurrent login', async () => {
    const joan = await client.join(newName('joan'))

    const tokens = await loginsDuring(client, joan.username, () =>
      changePassword(joan, passwordOf(joan.username), 'difference engine'),
    )

    for (const token of tokens) assertRefused(await client.get('/v1/users/ada', { token }), 'session_ended')
  })
})

test("of two concurrent operations that end each other's session", async (t) => {
  const client = new Client(await shared())
  const acts = {
    'a change of the password': (person: Person) =>
      changePassword(person, passwordOf(person.username), `${person.token.slice(-20)} is new`),
    'a deletion': (person: Person) => deleteAccount(person),
  }
  for (const [first, act] of Object.entries(acts))
    for (const [second, other] of Object.entries(acts))
      await t.test(`${first} and ${second}, one succeeds, and the other gets session_ended`, async () => {
        const phone = await client.join(newName('rosa'))
        const tablet = await client.enter(phone.username)

        const answers = await Promise.all([act(phone), other(tablet)])

        const [done, refused] = answers.sort((a, b) => a.status - b.status)
        assert.equal(done?.status, 204)
        assertRefused(refused as Answer, 'session_ended')
      })
})

test('deleting an account', async (t) => {
  const server = await startServer(t, { ...MULTI, RETENTION: '1s' })
  const client = new Client(server)
  const grace = await client.join('grace')

  await t.test('needs the password, and does nothing when it is wrong', async () => {
    const ada = await client.join('ada')
    await ada.acknowledge(0)
    const before = await stored(server.database)

    assertRefused(await deleteAccount(ada, 'wrong password'), 'wrong_password')

    assert.deepEqual(await stored(server.database), before)
    assert.equal((await client.login('ada')).status, 200)
  })

  await t.test('ends its sessions and polls, and refuses logins from then on', async (t) => {
    const alan = await client.join('alan')
    const phone = await client.enter('alan')
    const parked = await park(t, phone)

    assert.equal((await deleteAccount(alan)).status, 204)

    assertRefused(await parked.answer(), 'session_ended')
    assertRefused(await alan.send('grace', 'Still here?'), 'session_ended')
    assertRefused(await phone.user('grace'), 'session_ended')
    assertRefused(await client.login('alan'), 'invalid_credentials')
  })

  await t.test('leaves no session behind, not even of a concurrent login', async () => {
    const joan = await client.join('joan')

    const tokens = await loginsDuring(client, 'joan', () => deleteAccount(joan))

    for (const token of tokens) assertRefused(await client.get('/v1/users/grace', { token }), 'session_ended')
  })

  await t.test('is not undone by a concurrent password change', async () => {
    const sister = await client.join('sister')

    // The change takes longer, so it is written after the deletion.
    const [change, deletion] = await Promise.all([
      changePassword(sister, passwordOf('sister'), 'difference engine'),
      deleteAccount(sister),
    ])

    // Only one of the two was carried out.
    assert.deepEqual([change, deletion].map(({ status }) => status === 204).sort(), [false, true])
    const login = await client.login('sister', { password: 'difference engine' })
    assert.equal(login.status, deletion.status === 204 ? 401 : 200, 'a deleted account has come back')
    if (deletion.status === 204) assertRefused(change, 'session_ended')
    else assertRefused(deletion, 'wrong_password')
  })

  await t.test('makes it unknown to senders and to look-ups', async () => {
    const edith = await client.join('edith')
    await grace.send('edith', 'Are you there?')

    await deleteAccount(edith)

    assertRefused(await grace.send('edith', 'Are you there?'), 'recipient_not_found')
    assertRefused(await grace.user('edith'), 'user_not_found')
  })

  await t.test('leaves what it sent with the recipients, under its name', async () => {
    const zoe = await client.join('zoe')
    await client.register('barbara')
    const { body: receipt } = await zoe.send('barbara', 'Good bye.')

    await deleteAccount(zoe)

    const { body } = await client.login('barbara')
    assert.deepEqual(body.offlineMessages, [
      { seq: 1, id: receipt.id, from: 'zoe', body: 'Good bye.', sentAt: receipt.sentAt },
    ])
  })

  await t.test('removes the hash and the display name at once, and the inbox soon', async () => {
    const kay = await client.join('kay')
    await grace.send('kay', 'Never to be read')

    await deleteAccount(kay)

    const rows = await stored(server.database)
    const row = rows['account']?.find(({ username }) => username === 'kay')
    assert.deepEqual([row?.['password_hash'], row?.['display_name']], [null, ''])
    assert.deepEqual(
      rows['session']?.filter((session) => session['account_id'] === row?.['id']),
      [],
    )
    await eventually('the inbox is empty', async () => {
      const messages = (await stored(server.database))['message'] ?? []
      return !messages.some((message) => message['recipient_id'] === row?.['id'])
    })
  })

  await t.test('never gives the name again, in any case, even after a restart', async (t) => {
    await deleteAccount(await client.join('mary'))

    assertRefused(await client.register('Mary', 'another password'), 'username_taken')
    await server.stop()
    const restarted = new Client(await startServer(t, {}, server.database))
    assertRefused(await restarted.register('mary', 'another password'), 'username_taken')
  })
})

/** Logs in repeatedly, several times at once, so that some logins are under way during the operation. */
async function loginsDuring(client: Client, username: string, act: () => Promise<Answer>): Promise<string[]> {
  const tokens: string[] = []
  let done = false
  const login = async () => {
    const { status, body } = await client.login(username)
    if (status === 200) tokens.push(body.token)
  }
  await login()
  const logins = Array.from({ length: 4 }, async () => {
    while (!done) await login()
  })
  assert.equal((await act()).status, 204)
  done = true
  await Promise.all(logins)
  assert.ok(tokens.length > 0, 'No login came in time.')
  return tokens
}
