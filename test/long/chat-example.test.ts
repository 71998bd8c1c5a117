import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { startChat } from '../support/chats.ts'
import { adaAndBob, Client, range } from '../support/client.ts'
import { scratchFolder } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { startLossyProxy } from '../support/lossy-proxy.ts'
import { notify } from '../support/notices.ts'
import { sendWithReceipt } from '../support/receipts.ts'
import { shareServer, startServer } from '../support/servers.ts'
import { forgedApplicationToken } from '../support/tokens.ts'

const NASTY = [
  'She said "hi", it\'s $HOME, `date`, %s and \\n.',
  '  two spaces, a tab\t, \\ and 👩🏽‍🚀 e\u0301 العربية',
  '{"body": "not JSON"}',
].join('\n')

const server = shareServer()

describe('examples/chat.sh', { concurrency: 4, timeout: 600_000 }, () => {
  it('carries quotes, newlines, backslashes, emoji and the longest message both ways, unchanged', async (t) => {
    const { url } = await server()
    const bob = await new Client({ url }).join('bob-of-quotes')
    const chat = await startChat(t, url, 'ada-of-quotes', 'bob-of-quotes')
    const longest = `${'😀'.repeat(16_383)}.`

    chat.type(NASTY)
    const { body: read } = await bob.poll({ wait: 20 })
    chat.type(longest)
    const { body: readNext } = await bob.poll({ after: 1, wait: 20 })
    for (const text of [NASTY, longest]) await bob.send('ada-of-quotes', text)
    await chat.shown('😀.')

    assert.deepEqual(
      [read, readNext].map(({ messages }) => messages[0]?.body),
      [NASTY, longest],
      chat.remarks(),
    )
    assert.equal(await chat.end(), 0)
    const shown = [NASTY.replaceAll('\n', '\n    '), longest]
    assert.deepEqual(
      chat.messages(),
      shown.map((text) => `bob-of-quotes: ${text}`),
    )
  })

  it('creates the accounts of two people and lets them talk', async (t) => {
    await talk(t, (await server()).url, 'grace', 'alan')
  })

  it('shows at its start what arrived meanwhile, including receipts, and nothing twice', async (t) => {
    const { url } = await server()
    const client = new Client({ url })
    const [bob, ada] = await Promise.all([client.join('bob-before'), client.join('ada-away')])
    await sendWithReceipt(ada, bob, 'hi')
    await bob.acknowledge(1)
    await bob.send('ada-away', 'one')
    const { body: last } = await bob.send('ada-away', 'two')

    // People often add a slash to an address.
    const first = await startChat(t, `${url}/`, 'ada-away', 'bob-before')
    assert.equal(await first.end(), 0)
    const second = await startChat(t, url, 'ada-away', 'bob-before')
    assert.equal(await second.end(), 0)

    const received = '* bob-before has received 1 of your messages.'
    assert.deepEqual(first.messages(), [received, 'bob-before: one', 'bob-before: two'])
    assert.deepEqual(second.messages(), [])
    assert.equal((await bob.status(last.id)).body.state, 'delivered')
  })

  it('sends once and misses nothing when answers are lost, and waits as long as Retry-After says', async (t) => {
    const { url } = await server()
    const bob = await new Client({ url }).join('bob-of-losses')
    const proxy = await startLossyProxy(t, url)
    const chat = await startChat(t, proxy.url, 'ada-of-losses', 'bob-of-losses')
    const [send, poll] = [/^POST .*messages/, /^GET .*inbox/]
    proxy.losses.push(
      { request: send, loss: 'connection' },
      { request: poll, loss: 'connection' },
      { request: poll, loss: { status: 503, retryAfterSeconds: 4 } },
    )

    await bob.send('ada-of-losses', 'are you there?')
    chat.type('yes')
    chat.type('here I am')
    const received: string[] = []
    for (let polls = 0, cursor = 0; received.length < 2 && polls < 5; polls++) {
      const { body } = await bob.poll({ after: cursor, wait: 10 })
      received.push(...body.messages.map((message: { body: string }) => message.body))
      cursor = body.cursor
    }
    await chat.shown('are you there?')
    await bob.send('ada-of-losses', 'good')
    await chat.shown('good')
    assert.equal(await chat.end(), 0)

    assert.deepEqual(proxy.losses, [])
    assert.deepEqual(received, ['yes', 'here I am'])
    assert.deepEqual(chat.messages(), ['bob-of-losses: are you there?', 'bob-of-losses: good'])
    const [lost, repeated, next] = proxy.requests.filter(({ line }) => send.test(line))
    assert.ok(lost?.key)
    assert.equal(repeated?.key, lost.key)
    assert.notEqual(next?.key, lost.key)
    const polls = proxy.requests.filter(({ line }) => poll.test(line))
    const [, before = 0, after = 0] = polls.map(({ atMs }) => atMs)
    assert.ok(after - before >= 4_000, `It came back after ${after - before} ms`)
  })

  it('continues when the server is back', async (t) => {
    const before = await startServer(t)
    const proxy = await startLossyProxy(t, before.url)
    const chat = await startChat(t, proxy.url, 'ada', 'ada')
    chat.type('before')
    await chat.shown('ada: before')

    await before.stop()
    const after = await startServer(t, {}, before.database)
    proxy.to = after.url
    chat.type('after')
    await chat.shown('ada: after')

    assert.equal(await chat.end(), 0)
    assert.deepEqual(chat.messages(), ['ada: before', 'ada: after'])
  })

  it('ends with its session, and leaves it to the user to log in again', async (t) => {
    const { url } = await server()
    const watcher = await new Client({ url }).join('watcher')
    const chat = await startChat(t, url, 'ada-twice', 'watcher')
    await eventually('the chat listens', async () => (await watcher.user('ada-twice')).body.online)

    const refused = await startChat(t, url, 'ada-twice', 'watcher')
    assert.equal(await refused.exited, 1)
    assert.match(refused.remarks(), /--takeover/)

    const next = await startChat(t, url, 'ada-twice', 'watcher', { takeover: true })
    assert.equal(await chat.exited, 1)
    assert.match(chat.remarks(), /session has ended/)
    assert.equal(await next.end(), 0)
  })

  it('says that a password is wrong', async (t) => {
    const { url } = await server()
    await new Client({ url }).register('ada-with-lock')

    const chat = await startChat(t, url, 'ada-with-lock', 'grace', { password: 'open, sesame' })

    assert.equal(await chat.exited, 1)
    assert.match(chat.remarks(), /password is wrong/)
  })

  it('creates no account for a mistyped name', async (t) => {
    const { url } = await server()
    const watcher = await new Client({ url }).join('watcher-of-typos')

    const chat = await startChat(t, url, 'ada-mistypd', 'watcher-of-typos', { register: false })

    assert.equal(await chat.exited, 1)
    assert.match(chat.remarks(), /--register opens an account/)
    assert.equal((await watcher.user('ada-mistypd')).status, 404)
  })

  it('explains the rules of names and passwords, and shows no patterns', async (t) => {
    const { url } = await server()

    const noName = await startChat(t, url, 'a!', 'grace')
    const noPassword = await startChat(t, url, 'ada-shortly', 'grace', { password: 'short' })

    assert.equal(await noName.exited, 1)
    assert.match(noName.remarks(), /a! is no name\. Names have 3 to 32 letters/)
    assert.equal(await noPassword.exited, 1)
    assert.match(noPassword.remarks(), /Passwords have 8 to 256 characters/)
    for (const { remarks } of [noName, noPassword]) assert.doesNotMatch(remarks(), /[\^[\]{}]/)
  })

  it('exits with 1 when a piped message was not sent', async (t) => {
    const { url } = await server()
    const chat = await startChat(t, url, 'ada-of-pipes', 'nobody-at-all')

    chat.type('Backup failed')

    assert.equal(await chat.end(), 1)
    assert.match(chat.remarks(), /Not sent\./)
  })

  it('gives up when repeating is useless: another protocol, an unknown host', async (t) => {
    const { url } = await server()
    for (const [wrong, reason] of [
      [url.replace('http:', 'https:'), /SSL|TLS/],
      ['http://restante.invalid', /resolve|ENOTFOUND|EAI_AGAIN/],
    ] as const) {
      const chat = await startChat(t, wrong, 'ada-elsewhere', 'grace')
      assert.equal(await chat.exited, 1)
      assert.match(chat.remarks(), reason)
    }
  })

  it('passes no terminal commands from messages', async (t) => {
    const { url } = await server()
    const bob = await new Client({ url }).join('bob-of-escapes')
    const chat = await startChat(t, url, 'ada-of-escapes', 'bob-of-escapes')

    await bob.send('ada-of-escapes', 'red \u001b[31m, bell \u0007, C1 \u009b1m, over\rwritten, end')
    await chat.shown('end')

    assert.equal(await chat.end(), 0)
    assert.deepEqual(chat.messages(), [
      'bob-of-escapes: red \ufffd[31m, bell \ufffd, C1 \ufffd1m, over\ufffdwritten, end',
    ])
  })
})

describe('examples/notify.sh', { concurrency: 2, timeout: 600_000 }, () => {
  it('sends for four devices of one account at once, without affecting its session or inbox', async (t) => {
    const { url } = await server()
    const { ada: owner, bob: phone } = await adaAndBob({ url })
    const unread = await owner.sendMany(phone, 2)
    const tokens = await Promise.all(range(1, 4).map(() => phone.createToken()))

    const runs = await Promise.all(
      range(1, 4).map((n) => {
        const env = { RESTANTE_URL: `${url}/`, RESTANTE_TOKEN: tokens[n % 4]?.body.token ?? '' }
        return notify(t, { args: [owner.username, `device ${n}`], env })
      }),
    )

    assert.deepEqual(
      runs.filter(({ code }) => code !== 0),
      [],
    )
    const { messages } = (await owner.poll({ wait: 0 })).body
    assert.deepEqual(
      bodiesOf(messages).sort(),
      range(1, 4).map((n) => `device ${n}`),
    )
    assert.equal((await owner.user(phone)).body.online, false)
    assert.equal((await owner.status(unread[1] ?? '')).body.state, 'stored')
    const mail = (await phone.poll({ wait: 0 })).body.messages
    assert.deepEqual(
      mail.map(({ id }: { id: string }) => id),
      unread,
    )
  })

  it('sends a repeated message once, waits as Retry-After says, and keeps its token out of sight', async (t) => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const proxy = await startLossyProxy(t, url)
    proxy.losses.push(
      { request: /messages/, loss: 'connection' },
      { request: /messages/, loss: { status: 503, retryAfterSeconds: 3 } },
    )
    const folder = scratchFolder(t)
    const { token } = (await ada.createToken()).body
    writeFileSync(join(folder, 'token'), token)
    // The command line as in `ps`.
    const spy = `#!/bin/sh\nprintf '%s\\n' "$@" >>'${folder}/args'\nPATH=\${PATH#*:} exec curl "$@"\n`
    writeFileSync(join(folder, 'curl'), spy, { mode: 0o755 })
    const text = '@home: "50 %" of $HOME\\n\n'

    const { code, said } = await notify(t, {
      args: [bob.username],
      env: { RESTANTE_URL: proxy.url, RESTANTE_TOKEN_FILE: join(folder, 'token') },
      input: text,
      folder,
    })

    assert.deepEqual([code, said], [0, ''])
    assert.deepEqual(bodiesOf((await bob.poll({ wait: 0 })).body.messages), [text])
    assert.equal(new Set(proxy.requests.map(({ key }) => key)).size, 1)
    const [, second, third] = proxy.requests.map(({ atMs }) => atMs)
    assert.ok((third ?? 0) - (second ?? 0) >= 3_000)
    const args = readFileSync(join(folder, 'args'), 'utf8')
    assert.match(args, /Idempotency-Key/)
    assert.ok(!args.includes('rst_'))
  })

  it('says so, and exits with a code other than 0, when it has not sent', async (t) => {
    const { url } = await server()
    const { ada } = await adaAndBob({ url })
    const env = { RESTANTE_URL: url, RESTANTE_TOKEN: (await ada.createToken()).body.token }
    const gone = await startLossyProxy(t, url)
    gone.losses.push({ request: /messages/, loss: { status: 503, retryAfterSeconds: 120 } })
    for (const [args, more, reason] of [
      [['nobody', 'text'], {}, /404 There is no user/],
      [[ada.username, ''], {}, /400/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: forgedApplicationToken() }, /401/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: '' }, /Set RESTANTE_TOKEN/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: 'a"\nurl = "b' }, /not an application token/],
      [
        [ada.username, 'text'],
        { RESTANTE_URL: 'http://127.0.0.1:1', RESTANTE_PATIENCE: '0' },
        /000 curl: \(7\)/,
      ],
      [[ada.username, 'text'], { RESTANTE_URL: gone.url, RESTANTE_PATIENCE: '100' }, /503/],
      [['../me'], {}, /Nobody can have the name/],
      [[], {}, /Usage/],
    ] as const) {
      const { code, said } = await notify(t, { args: [...args], env: { ...env, ...more } })
      assert.notEqual(code, 0, said)
      assert.match(said, reason)
    }
  })
})

const bodiesOf = (messages: { body: string }[]) => messages.map(({ body }) => body)

/** Two people greet each other and leave. */
async function talk(t: TestContext, url: string, one: string, other: string) {
  const first = await startChat(t, url, one, other)
  const second = await startChat(t, url, other, one)
  first.type('hello')
  await second.shown('hello')
  second.type('good morning')
  await first.shown('good morning')

  assert.deepEqual([await first.end(), await second.end()], [0, 0])
  assert.deepEqual(first.messages(), [`${other}: good morning`])
  assert.deepEqual(second.messages(), [`${one}: hello`])
}
