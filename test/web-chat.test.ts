/** web/src/chat: the chat of the web page, without its views, in tabs of a real browser. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { NO_BROWSER, shareBrowser } from './support/browser.ts'
import { type PageWindow, somebody, type Tab } from './support/chat-page.ts'
import { Client, newName } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { startLossyWay } from './support/lossy-way.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { shareServer } from './support/servers.ts'

declare const window: PageWindow

const POLL = 'GET /v1/inbox'

describe('the chat of the web page', { skip: NO_BROWSER, timeout: 300_000 }, () => {
  const server = shareServer({ PRESENCE_GRACE: '0s' })
  const browser = shareBrowser()

  /** Ada with a tab in which she is logged in, and Bob without a browser. */
  async function adaAndBob(t: TestContext, options: { insecure?: boolean; path?: string } = {}) {
    const way = await startLossyWay(t, (await server()).url)
    const ada = await somebody(t, await browser(), { url: way.url, ...options })
    const bob = await new Client(await server()).join(newName('bob'))
    const tab = await ada.openTab()
    await tab.is('logged-out')
    await tab.join()
    await tab.isLive()
    await tab.openConversation(bob.username)
    const openTab = async () => {
      const another = await ada.openTab()
      await another.is('logged-in')
      await another.openConversation(bob.username)
      return another
    }
    return { way, ada, bob, tab, openTab }
  }

  const databases = (tab: Tab) =>
    tab.page.evaluate(async () => (await window.indexedDB.databases()).map(({ name }) => name))

  it('shows a message that comes twice once, and has it after a reload', async (t) => {
    const { way, ada, bob, tab } = await adaAndBob(t)
    await bob.send(ada.username, 'One')
    await bob.send(ada.username, 'Two')
    await tab.shows('received: One', 'received: Two')
    const before = way.requests.length
    await tab.page.evaluate(() => {
      const name = Object.keys(window.localStorage).find((key) => key.endsWith('session')) ?? ''
      const kept = String(window.localStorage[name])
      window.localStorage.setItem(name, kept.replace(/"cursor":\d+/, '"cursor":0'))
      window.location.reload()
    })
    await tab.page.waitForURL((url) => url.pathname === '/')
    await tab.isLive()
    const again = way.requests.slice(before).map(({ line }) => line)
    assert.ok(
      again.some((line) => line.includes('after=0')),
      'the browser has been given them again',
    )
    await tab.openConversation(bob.username)
    await bob.send(ada.username, 'Three')
    await tab.shows('received: One', 'received: Two', 'received: Three')
    const list = await tab.page.evaluate(() => window.app.chat.value?.conversations.value)
    assert.deepEqual(
      list?.map(({ username, unread, last }) => [username, unread, last?.body]),
      [[bob.username, 3, 'Three']],
    )
    await tab.page.evaluate(() => window.conversation.markRead())
    await tab.page.waitForFunction(() => window.app.chat.value?.unread.value === 0)
  })

  it('sends one message when it is reloaded before the answer, and the receipt may come before that', async (t) => {
    const { way, ada, bob, tab } = await adaAndBob(t)
    way.losses.push({ request: /POST .v1.messages/, loss: 'silence' })
    await tab.send('Hello')
    await tab.send('Are you there?')
    await tab.shows('waiting: Hello', 'waiting: Are you there?')
    const { body } = await bob.poll({ wait: 10 })
    await bob.acknowledge(body.cursor)
    await eventually('Ada has the receipt', () =>
      ada.waiting(POLL).some(({ url }) => url.search.includes('after=1')),
    )
    await tab.shows('waiting: Hello', 'waiting: Are you there?')

    await tab.page.reload()
    await tab.is('logged-in')
    await tab.openConversation(bob.username)
    await tab.shows('delivered: Hello', 'sent: Are you there?')
    const sends = way.requests.filter(({ line }) => line.startsWith('POST /v1/messages'))
    assert.equal(sends.length, 3)
    assert.equal(sends[0]?.key, sends[1]?.key)
    const rest = await bob.poll({ after: body.cursor, wait: 10 })
    assert.deepEqual(
      rest.body.messages.map((message: { body: string }) => message.body),
      ['Are you there?'],
    )
    await bob.acknowledge(rest.body.cursor)
    await tab.shows('delivered: Hello', 'delivered: Are you there?')
  })

  it('keeps a message that is refused, says why, and sends it when it is asked', async (t) => {
    const { ada, bob, tab } = await adaAndBob(t)
    await bob.block(ada.username)
    await tab.send('Hello')
    await tab.shows('failed: Hello')
    const row = await tab.page.evaluate(() => window.conversation.rows.value?.[0])
    assert.equal(row?.kind === 'sent' && row.failure?.code, 'blocked')
    await bob.unblock(ada.username)
    await tab.page.evaluate((place) => window.conversation.retry(place), Number(row?.place))
    await tab.shows('sent: Hello')
  })

  it('has messages to oneself once as sent and once as received', async (t) => {
    const { ada, tab } = await adaAndBob(t)
    await tab.openConversation(ada.username)
    await tab.send('Buy milk')
    await tab.shows('delivered: Buy milk', 'received: Buy milk')
  })

  it('polls once for seven tabs, shows a message in each, and goes on when the tab that polls is closed', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const tabs = [tab]
    while (tabs.length < 7) tabs.push(await openTab())
    await bob.send(ada.username, 'One')
    await Promise.all(tabs.map((each) => each.shows('received: One')))
    const polls = ada.waiting(POLL)
    assert.equal(polls.length, 1)
    await tabs[6]?.send('Two')
    await Promise.all(tabs.map((each) => each.shows('received: One', 'sent: Two')))

    await polls[0]?.page.close()
    const left = tabs.filter(({ page }) => !page.isClosed())
    assert.equal(left.length, 6)
    await eventually('another tab polls', () => ada.waiting(POLL).length === 1)
    await bob.send(ada.username, 'Three')
    await Promise.all(left.map((each) => each.shows('received: One', 'sent: Two', 'received: Three')))
    assert.equal(ada.waiting(POLL).length, 1)

    await ada
      .waiting(POLL)[0]
      ?.page.goto('chrome://crash')
      .catch(() => {})
  })
})
