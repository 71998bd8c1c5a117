/** The web page with two browsers and a real server. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { NO_BROWSER, shareBrowser } from '../support/browser.ts'
import { Client, newName } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/postgres.ts'
import { shareServer, spawnServer } from '../support/servers.ts'
import { visit } from '../support/web-page.ts'

const HTML = `<img src="x" onerror="document.title = 'taken'"><script>document.title = 'taken'</script><b>bold</b>`
const RIGHT_TO_LEFT = 'שלום, Ada!'
const LENGTH_MAX = 16_384

declare const getComputedStyle: (element: unknown) => { direction: string }

describe('chats on the web page', { skip: NO_BROWSER, timeout: 900_000 }, () => {
  const server = shareServer({ PRESENCE_GRACE: '0s' })
  const browser = shareBrowser()

  /** A person who has opened the page and created an account. */
  async function join(t: TestContext, name: string, url: string) {
    const username = newName(name)
    const { person, tab } = await visit(t, await browser(), url)
    await tab.createAccount(username)
    return { username, person, tab }
  }

  async function adaAndGrace(t: TestContext, url: string) {
    const [ada, grace] = await Promise.all([join(t, 'ada', url), join(t, 'grace', url)])
    await ada.tab.startConversation(grace.username)
    return { ada, grace }
  }

  it('shows a message to the recipient at once, and its state to the sender', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    await ada.tab.send('Good morning')
    await ada.tab.sent('Good morning', 'Delivered').waitFor()
    await grace.tab.openConversation(ada.username)
    await grace.tab.received('Good morning').waitFor()
    await grace.tab.send('Good evening')
    await ada.tab.received('Good evening').waitFor()
    await grace.tab.sent('Good evening', 'Delivered').waitFor()

    await ada.tab.message.fill('What I was about to')
    await ada.tab.page.reload()
    await ada.tab.sent('Good morning', 'Delivered').waitFor()
    await ada.tab.received('Good evening').waitFor()
    await eventually('the draft is back', async () =>
      (await ada.tab.message.inputValue()).startsWith('What I was'),
    )
  })

  it('shows messages at the next login, and then the ticks to their sender', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const eve = await new Client({ url }).join(newName('eve'))
    await eve.update({ displayName: 'Eve Online' })
    await grace.person.context.close()
    await eventually('Grace is away', async () => !(await eve.user(grace.username)).body.online)
    await ada.tab.send('One')
    await ada.tab.send('Two')
    await ada.tab.sent('Two', 'Sent').waitFor()
    await eve.send(grace.username, 'Three')

    const again = await visit(t, await browser(), url)
    await again.tab.logIn(grace.username)
    const { conversations } = again.tab
    await conversations.getByRole('link', { name: /^Eve Online .* Three 1 unread$/ }).waitFor()
    await conversations.getByRole('link', { name: '2 unread' }).click()
    await again.tab.received('One').waitFor()
    await again.tab.received('Two').waitFor()
    await ada.tab.sent('One', 'Delivered').waitFor()
    await ada.tab.sent('Two', 'Delivered').waitFor()
  })

  it('asks before it ends a session elsewhere, and shows there that it has ended', async (t) => {
    const { url } = await server()
    const { username, person, tab } = await join(t, 'ada', url)
    // Between two polls she is not online.
    await eventually('a poll of Ada waits', () =>
      person.waiting('GET /v1/inbox').some((poll) => poll.url.searchParams.get('wait') !== '0'),
    )
    const another = await visit(t, await browser(), url)
    await another.tab.fillIn(username)
    await another.tab.button('Log in').click()
    const question = another.tab.page.getByRole('alert').filter({ hasText: 'You are logged in elsewhere' })
    await question.waitFor()
    await another.tab.button('Log in here', question).click()
    await another.tab.isLoggedIn()

    await tab.isLoggedOut()
    const alert = (await tab.page.getByRole('alert').textContent()) ?? ''
    assert.match(alert, /You have been logged out\. .* logged in elsewhere/)
    assert.equal(await tab.username.inputValue(), username)
  })

  it('sends messages written without a server once, when the server is back', async (t) => {
    const env = { PORT: String(await freePort()), PRESENCE_GRACE: '0s' }
    const first = await spawnServer(t, env)
    const { ada, grace } = await adaAndGrace(t, first.url)
    await ada.tab.send('Before')
    await ada.tab.sent('Before', 'Delivered').waitFor()
    await grace.tab.openConversation(ada.username)

    await ada.tab.isKept()
    first.process.kill('SIGKILL')
    await first.exited
    await ada.tab.says('No connection.').waitFor()
    await ada.tab.send('Meanwhile')
    await ada.tab.sent('Meanwhile', 'Waiting to be sent').waitFor()
    await ada.tab.page.reload()
    await ada.tab.sent('Meanwhile', 'Waiting to be sent').waitFor()

    await spawnServer(t, env, first.database)
    await ada.tab.sent('Meanwhile', 'Delivered').waitFor()
    await ada.tab.send('After')
    await grace.tab.received('After').waitFor()
    assert.equal(await grace.tab.received('Meanwhile').count(), 1)
    assert.equal(await ada.tab.sent('Meanwhile', 'Delivered').count(), 1)
  })

  it('polls at once when a send has shown that the server is back', async (t) => {
    const { ada, grace } = await adaAndGrace(t, (await server()).url)
    const { page } = ada.tab
    await ada.tab.send('Ping')
    await grace.tab.openConversation(ada.username)
    await ada.tab.sent('Ping', 'Delivered').waitFor()

    // From now on, pauses of the page do not end by themselves.
    await page.evaluate(`{
      const { setTimeout } = globalThis
      globalThis.setTimeout = (act, ms = 0) => setTimeout(act, ms < 500 ? ms : 1e9)
    }`)
    await page.route('**/v1/inbox?*', (route) => route.abort())
    await grace.tab.send('Pong')
    await ada.tab.says('No connection.').waitFor()
    await page.unroute('**/v1/inbox?*')
    await ada.tab.send('Are you there?')
    await ada.tab.says('No connection.').waitFor({ state: 'hidden' })
  })

  it('shows text as text: markup, 16 384 emoji, and right-to-left scripts', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const emoji = '🕊'.repeat(LENGTH_MAX)
    const { tab } = ada
    await tab.message.fill(`${emoji}!`)
    await tab.says('This one has 16,385').waitFor()
    assert.ok(await tab.button('Send').isDisabled())
    for (const text of [HTML, emoji, RIGHT_TO_LEFT]) await tab.send(text)
    await tab.sent(RIGHT_TO_LEFT, 'Delivered').waitFor()
    await grace.tab.openConversation(ada.username)

    for (const { log, page } of [tab, grace.tab]) {
      const [markup, long, rightToLeft] = [HTML, emoji, RIGHT_TO_LEFT].map((text) =>
        log.getByText(text, { exact: true }),
      )
      await rightToLeft?.waitFor()
      assert.equal(await markup?.textContent(), HTML)
      assert.equal(await log.locator('img, script, b').count(), 0)
      assert.equal((await long?.textContent())?.length, emoji.length)
      assert.equal(await rightToLeft?.evaluate((element) => getComputedStyle(element).direction), 'rtl')
      assert.doesNotMatch(await page.title(), /taken/)
    }
  })

  it('keeps messages refused by a block with their sender, and sends them later', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    await ada.tab.button('More').click()
    await ada.tab.page.getByRole('button', { name: /^Block / }).click()
    await ada.tab.says('You have blocked').waitFor()
    await grace.tab.startConversation(ada.username)
    await grace.tab.send('Hello?')
    await grace.tab.sent('Hello?', 'Not sent').waitFor()
    await grace.tab.says('This user does not take your messages.').waitFor()

    await ada.tab.button('Unblock to write').click()
    await ada.tab.message.waitFor()
    await grace.tab.button('Retry').click()
    await grace.tab.sent('Hello?', 'Delivered').waitFor()
    await ada.tab.received('Hello?').waitFor()
  })
})
