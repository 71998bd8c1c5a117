/** web/src/chat, the chat of the web page without its views, in tabs of a real browser. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { INSECURE_HOST, NO_BROWSER, shareBrowser } from '../support/browser.ts'
import { chatPage, type PageWindow, somebody, type Tab } from '../support/chat-page.ts'
import { Client, newName } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { startLossyProxy } from '../support/lossy-proxy.ts'
import { shareServer } from '../support/servers.ts'

declare const window: PageWindow

const POLL = 'GET /v1/inbox'

describe('the chat of the web page', { skip: NO_BROWSER, timeout: 900_000 }, () => {
  const server = shareServer({ PRESENCE_GRACE: '0s' })
  const browser = shareBrowser()

  /** Ada, logged in in a tab, and Bob without a browser. */
  async function adaAndBob(
    t: TestContext,
    { insecure = false, script }: { insecure?: boolean; script?: string } = {},
  ) {
    const proxy = await startLossyProxy(t, (await server()).url)
    proxy.page = await chatPage(script)
    const url = insecure ? proxy.url.replace('127.0.0.1', INSECURE_HOST) : proxy.url
    const ada = await somebody(t, await browser(), url)
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
    return { proxy, ada, bob, tab, openTab }
  }

  it('shows a duplicated message once, and keeps it after a reload', async (t) => {
    const { proxy, ada, bob, tab } = await adaAndBob(t)
    await bob.send(ada.username, 'One')
    await bob.send(ada.username, 'Two')
    await tab.shows('received: One', 'received: Two')
    const before = proxy.requests.length
    await tab.page.evaluate(() => {
      const name = Object.keys(window.localStorage).find((key) => key.endsWith('session')) ?? ''
      const kept = String(window.localStorage[name])
      window.localStorage.setItem(name, kept.replace(/"cursor":\d+/, '"cursor":0'))
    })
    await tab.page.reload()
    await tab.isLive()
    const again = proxy.requests.slice(before).map(({ line }) => line)
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

  it('sends one message when it is reloaded before the answer, even if the receipt comes first', async (t) => {
    const { proxy, ada, bob, tab } = await adaAndBob(t)
    proxy.losses.push({ request: /POST .v1.messages/, loss: 'silence' })
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
    const sends = proxy.requests.filter(({ line }) => line.startsWith('POST /v1/messages'))
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

  it('keeps a refused message, says why, and sends it on request', async (t) => {
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

  it('shows messages to oneself once as sent and once as received', async (t) => {
    const { ada, tab } = await adaAndBob(t)
    await tab.openConversation(ada.username)
    await tab.send('Buy milk')
    await tab.shows('delivered: Buy milk', 'received: Buy milk')
  })

  it('polls once for seven tabs, shows a message in each, and continues when the polling tab is closed', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const pollingPages = () => [...new Set(ada.waiting(POLL).map(({ page }) => page))]
    const onePolls = () => eventually('one tab polls', () => pollingPages().length === 1)
    const tabs = [tab]
    while (tabs.length < 7) tabs.push(await openTab())
    await bob.send(ada.username, 'One')
    await Promise.all(tabs.map((each) => each.shows('received: One')))
    await onePolls()
    await tabs[6]?.send('Two')
    await Promise.all(tabs.map((each) => each.shows('received: One', 'sent: Two')))
    await onePolls()

    await pollingPages()[0]?.close()
    const left = tabs.filter(({ page }) => !page.isClosed())
    assert.equal(left.length, 6)
    await onePolls()
    await bob.send(ada.username, 'Three')
    await Promise.all(left.map((each) => each.shows('received: One', 'sent: Two', 'received: Three')))
    await onePolls()
  })

  it('lets the visible tab poll, and shows the account online only while one is visible', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    const polls = (by: Tab, away: boolean) =>
      eventually(`a tab polls, away: ${away}`, () => {
        const [poll, ...more] = ada.waiting(POLL)
        const isAway = poll?.url.searchParams.get('away') === 'true'
        return more.length === 0 && poll?.page === by.page && isAway === away
      })
    await polls(tab, false)
    await tab.setHidden(true)
    await polls(other, false)
    await other.setHidden(true)
    // The waiting poll ends with the next message.
    await bob.send(ada.username, 'One')
    await polls(other, true)
    await tab.setHidden(false)
    await polls(tab, false)
    await tab.shows('received: One')
  })

  it('leaves polling to other tabs while it is in the back/forward cache, and returns from it', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    const polledBy = ({ page }: Tab) => ada.waiting(POLL).some((poll) => poll.page === page)
    await eventually('the first tab polls', () => polledBy(tab))
    await tab.page.evaluate(`dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))`)
    await eventually('the other tab polls', () => polledBy(other))
    await bob.send(ada.username, 'One')
    await other.shows('received: One')
    await tab.page.evaluate(`dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`)
    await tab.shows('received: One')
    await other.page.close()
    await eventually('the first tab polls', () => polledBy(tab))
  })

  it('notices a crash of the polling tab, even after the clock was set back', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    await other.page.evaluate(() => {
      const { now } = Date
      Date.now = () => now() - 3_600_000
    })
    await tab.page.goto('chrome://crash').catch(() => {})
    await eventually('the other tab polls', () => ada.waiting(POLL).some(({ page }) => page === other.page))
    await bob.send(ada.username, 'One')
    await other.shows('received: One')
  })

  it('logs out in all tabs, and leaves nothing in the browser', async (t) => {
    const { tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    await tab.send('Hello')
    await other.shows('sent: Hello')
    assert.equal((await kept(tab)).databases.length, 1)
    await other.page.evaluate(() => window.app.chat.value?.logout())
    for (const each of [tab, other]) {
      await each.is('logged-out')
      assert.equal(await each.page.evaluate(() => window.app.endedSession.value), undefined)
    }
    await keepsNothing(tab)

    await tab.login()
    for (const each of [tab, other]) await each.is('logged-in')
    assert.deepEqual(await tab.page.evaluate(() => window.app.chat.value?.conversations.value), [])
  })

  it('deletes the account, and all its data in the browser', async (t) => {
    const { ada, tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    await tab.send('Hello')
    const deleteAccount = (password: string) =>
      tab.page.evaluate(
        (given) => window.app.chat.value?.deleteAccount(given).catch(({ code }) => code),
        password,
      )
    assert.equal(await deleteAccount('not the password'), 'wrong_password')
    assert.equal(await tab.state(), 'logged-in')
    await deleteAccount(ada.credentials.password)
    for (const each of [tab, other]) {
      await each.is('logged-out')
      await each.page.waitForFunction(() => window.app.endedSession.value === undefined)
    }
    await keepsNothing(tab)
  })

  it('keeps the messages when the session is taken over, says so, and continues with them', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t)
    const other = await openTab()
    await bob.send(ada.username, 'One')
    await other.shows('received: One')
    const phone = await bob.client.enter(ada.username, { takeover: true })
    for (const each of [tab, other]) {
      await each.is('logged-out')
      await each.page.waitForFunction(() => window.app.endedSession.value)
      const { endedSession, names } = await each.page.evaluate(() => {
        const { username, reason } = window.app.endedSession.value ?? {}
        return { endedSession: [username, reason?.code], names: window.app.storedAccounts.value }
      })
      assert.deepEqual(endedSession, [ada.username, 'session_ended'])
      assert.deepEqual(names, [ada.username])
    }

    const poll = phone.poll({ wait: 55 })
    await eventually('the phone is online', async () => (await bob.user(ada.username)).body.online)
    assert.equal(await other.login(), 'already_online')
    assert.equal(await other.login(true), undefined)
    await poll
    for (const each of [tab, other]) {
      await each.is('logged-in')
      await each.openConversation(bob.username)
      await each.shows('received: One')
      assert.equal(await each.page.evaluate(() => window.app.endedSession.value), undefined)
    }
  })

  it('forgets the messages of an account that is not logged in', async (t) => {
    const { ada, bob, tab } = await adaAndBob(t)
    await bob.client.enter(ada.username, { takeover: true })
    await tab.is('logged-out')
    await tab.page.evaluate((username) => window.app.forget(username), ada.username)
    assert.deepEqual(await tab.page.evaluate(() => window.app.storedAccounts.value), [])
    await keepsNoDatabase(tab)
  })

  it('keeps a draft until it is sent', async (t) => {
    const { bob, tab, openTab } = await adaAndBob(t)
    const hasDraft = () => window.app.chat.value?.conversations.value[0]?.hasDraft
    await tab.page.evaluate(() => window.conversation.saveDraft('Dear B', true))
    await tab.page.waitForFunction(hasDraft)
    const other = await openTab()
    assert.equal(await other.openConversation(bob.username), 'Dear B')
    await tab.page.evaluate(() => {
      window.conversation.saveDraft('Dear Bob')
      window.conversation.close()
    })
    await eventually('it is kept', async () => (await other.openConversation(bob.username)) === 'Dear Bob')
    await other.send('Dear Bob')
    assert.equal(await tab.openConversation(bob.username), '')
    await tab.shows('sent: Dear Bob')
    await tab.page.waitForFunction(() => !window.app.chat.value?.conversations.value[0]?.hasDraft)
  })

  it('works from a plain http address, with one poll for two tabs', async (t) => {
    const { ada, bob, tab, openTab } = await adaAndBob(t, { insecure: true })
    assert.equal(await tab.page.evaluate(() => window.isSecureContext), false)
    const other = await openTab()
    await other.send('Hello')
    await bob.send(ada.username, 'One')
    for (const each of [tab, other]) await each.shows('sent: Hello', 'received: One')
    await eventually('one tab polls', () => new Set(ada.waiting(POLL).map(({ page }) => page)).size === 1)
    assert.equal((await kept(tab)).databases[0], `restante / account ${ada.username}`)
  })

  describe('goes on in memory, and says so,', () => {
    const failures = {
      'without IndexedDB': `IDBFactory.prototype.open = () => { throw new DOMException('No.', 'SecurityError') }`,
      'without space': `IDBObjectStore.prototype.add = () => { throw new DOMException('No.', 'QuotaExceededError') }`,
    }
    for (const [name, script] of Object.entries(failures))
      it(name, async (t) => {
        const { ada, bob, tab } = await adaAndBob(t, { script })
        await bob.send(ada.username, 'One')
        await tab.shows('received: One')
        await tab.send('Hello')
        await tab.shows('received: One', 'sent: Hello')
        const [trouble, unread] = await tab.page.evaluate(() => {
          const { value: chat } = window.app.chat
          return [chat?.storageWarning.value, chat?.unread.value]
        })
        assert.match(String(trouble), /cannot keep messages/)
        assert.equal(unread, 1)
      })
  })

  it('reopens IndexedDB when the browser has closed it in the background', async (t) => {
    const { ada, bob, tab } = await adaAndBob(t)
    await tab.page.evaluate(`{
      const { prototype } = IDBDatabase
      const { transaction } = prototype
      prototype.transaction = function () {
        prototype.transaction = transaction
        throw new DOMException('The database connection is closing.', 'InvalidStateError')
      }
    }`)
    await bob.send(ada.username, 'One')
    await tab.shows('received: One')
    assert.equal(await tab.page.evaluate(() => window.app.chat.value?.storageWarning.value), undefined)
  })
})

/** A database is deleted when no tab has it open, perhaps a moment after the deleting tab continues. */
const keepsNoDatabase = (tab: Tab) =>
  eventually('there is no database', async () => (await kept(tab)).databases.length === 0)

async function keepsNothing(tab: Tab) {
  await keepsNoDatabase(tab)
  assert.deepEqual((await kept(tab)).keys, [])
}

/** The storage of the browser. */
const kept = (tab: Tab) =>
  tab.page.evaluate(async () => ({
    databases: (await window.indexedDB.databases()).map(({ name }) => name),
    keys: Object.keys(window.localStorage),
  }))
