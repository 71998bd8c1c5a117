/** The web page under difficult conditions: many tabs, no network, no https, no mouse, another version. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Locator } from 'playwright-core'
import { INSECURE_HOST, NO_BROWSER, type Person, shareBrowser } from '../support/browser.ts'
import { Client, newName, passwordOf } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/postgres.ts'
import { range } from '../support/range.ts'
import { shareServer, spawnServer } from '../support/servers.ts'
import { type ContextOptions, openTab, visit } from '../support/web-page.ts'
import { startWebProxy } from '../support/web-proxy.ts'

const POLL = 'GET /v1/inbox'

/** The globals that functions in the page use. */
interface PageWindow {
  isSecureContext: boolean
  marked?: boolean
  indexedDB: { databases(): Promise<{ name: string }[]> }
  localStorage: object
  caches: { keys(): Promise<string[]> }
  navigator: {
    serviceWorker: {
      ready: Promise<{ scope: string }>
      controller: unknown
      getRegistrations(): Promise<object[]>
    }
  }
  document: { activeElement: unknown; dispatchEvent(event: Event): void }
}
declare const window: PageWindow

describe('the web page', { skip: NO_BROWSER, timeout: 600_000 }, () => {
  const server = shareServer({ PRESENCE_GRACE: '0s' })
  const browser = shareBrowser()

  async function join(t: TestContext, name: string, url: string, options?: ContextOptions) {
    const username = newName(name)
    const { person, tab } = await visit(t, await browser(), url, options)
    await tab.createAccount(username)
    return { username, person, tab }
  }

  /** Ada in a browser, in a conversation with Grace, who has none. */
  async function adaAndGrace(t: TestContext, url: string) {
    const [ada, grace] = await Promise.all([
      join(t, 'ada', url),
      new Client(await server()).join(newName('grace')),
    ])
    await ada.tab.startConversation(grace.username)
    return { ada, grace }
  }

  /** Between two polls none waits, and two tabs may both poll until they know of each other. */
  const onePolls = ({ person }: { person: Person }) =>
    eventually('one tab polls', () => person.waiting(POLL).length === 1)

  it('works in seven tabs, of which one polls', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const tabs = [ada.tab]
    while (tabs.length < 7) tabs.push(await openTab(ada.person, `${url}/#/${grace.username}`))
    await grace.send(ada.username, 'One')
    for (const tab of tabs) await tab.received('One').waitFor()
    await tabs[6]?.send('Two')
    for (const tab of tabs) await tab.sent('Two', 'Sent').waitFor()
    await onePolls(ada)

    await ada.person.waiting(POLL)[0]?.page.close()
    await grace.send(ada.username, 'Three')
    const left = tabs.filter(({ page }) => !page.isClosed())
    for (const tab of left) await tab.received('Three').waitFor()
    assert.equal(left.length, 6)
  })

  it('logs out in all tabs, and leaves nothing in the browser', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    await ada.tab.send('A secret')
    await ada.tab.sent('A secret', 'Sent').waitFor()
    const other = await openTab(ada.person, `${url}/#/${grace.username}`)
    await other.message.fill('Another')
    await other.button('Log out').click()
    await other.button('Log out now', other.dialog).click()
    await other.isLoggedOut()
    await ada.tab.isLoggedOut()
    for (const { page } of [ada.tab, other]) {
      assert.equal(await page.getByRole('alert').count(), 0)
      const databases = () => page.evaluate(async () => (await window.indexedDB.databases()).length)
      await eventually('there is no database', async () => (await databases()) === 0)
      assert.deepEqual(await page.evaluate(() => Object.keys(window.localStorage)), [])
    }
  })

  it('works at an address without https', async (t) => {
    const { url } = await server()
    const insecure = url.replace('127.0.0.1', INSECURE_HOST)
    const { ada, grace } = await adaAndGrace(t, insecure)
    assert.equal(await ada.tab.page.evaluate(() => window.isSecureContext), false)
    const other = await openTab(ada.person, `${insecure}/#/${grace.username}`)
    await ada.tab.send('One')
    await grace.send(ada.username, 'Two')
    for (const tab of [ada.tab, other]) {
      await tab.sent('One', 'Sent').waitFor()
      await tab.received('Two').waitFor()
    }
    await onePolls(ada)
    await other.page.getByRole('link', { name: 'Account' }).click()
    await other.says('It cannot be installed from this address').waitFor()
    await other.textbox('Name of the new token').fill('door bell')
    await other.button('Create token').click()
    await other.button('Copy the token').click()
    await other.page.getByText(/The token is (copied|selected)/).waitFor()
  })

  it('opens without a network, and sends later what was written', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const { tab, person } = ada
    await tab.send('Before')
    await tab.sent('Before', 'Sent').waitFor()
    await tab.isKept()
    await person.context.setOffline(true)
    await tab.page.reload()
    await tab.sent('Before', 'Sent').waitFor()
    await tab.says('No connection.').waitFor()
    await tab.send('Meanwhile')
    await tab.sent('Meanwhile', 'Waiting to be sent').waitFor()
    await person.context.setOffline(false)
    await tab.sent('Meanwhile', 'Sent').waitFor()
    const { messages } = (await grace.poll({ wait: 0 })).body
    assert.deepEqual(
      messages.map(({ body }: { body: string }) => body),
      ['Before', 'Meanwhile'],
    )
  })

  it('opens without a server, before and after a login', async (t) => {
    const running = await spawnServer(t, { PORT: String(await freePort()) })
    const { tab } = await join(t, 'ada', running.url)
    const stranger = await visit(t, await browser(), running.url)
    for (const each of [tab, stranger.tab]) await each.isKept()
    running.process.kill('SIGKILL')
    await running.exited
    await tab.page.reload()
    await tab.isLoggedIn()
    await tab.says('No connection.').waitFor()
    await stranger.tab.page.reload()
    await stranger.tab.fillIn('ada')
    await stranger.tab.button('Log in').click()
    await stranger.tab.says('The server does not answer.').waitFor()
  })

  it('disappears when its server no longer has a page, and another server may use its address', async (t) => {
    const env = { PORT: String(await freePort()) }
    const running = await spawnServer(t, env)
    const { tab } = await join(t, 'ada', running.url)
    await tab.isKept()
    running.process.kill('SIGKILL')
    await running.exited
    await spawnServer(t, { ...env, WEB: 'off' }, running.database)
    await tab.page.reload()
    await tab.page.getByText('not_found').waitFor()
    const workers = () =>
      tab.page.evaluate(async () => (await window.navigator.serviceWorker.getRegistrations()).length)
    await eventually('the worker is gone', async () => (await workers()) === 0)
  })

  it('shows the next user nothing of the former one', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const other = await openTab(ada.person, url)
    await other.isLoggedIn()
    await grace.client.enter(ada.username, { takeover: true })
    for (const tab of [ada.tab, other]) await tab.isLoggedOut()
    const bob = newName('bob')
    await other.createAccount(bob)
    await ada.tab.isLoggedIn()
    await ada.tab.says('Choose a conversation').waitFor()
    assert.doesNotMatch(ada.tab.page.url(), new RegExp(grace.username))
  })

  it('does not keep all the messages of a flood on the screen', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const { tab } = ada
    for (const tens of range(1, 45))
      await Promise.all(range(1, 10).map((one) => grace.send(ada.username, `Flood ${tens}-${one}`)))
    await grace.send(ada.username, 'The last one')
    await tab.received('The last one').waitFor()
    const rows = tab.log.locator('.row')
    await eventually('the older ones are gone', async () => (await rows.count()) <= 400)
    const count = await rows.count()
    await tab.log.hover()
    await eventually('the older ones come back', async () => {
      await tab.page.mouse.wheel(0, -2_000)
      return (await rows.count()) > count
    })
  })

  it('offers a new version, and waits for the user', async (t) => {
    const proxy = await startWebProxy(t, (await server()).url)
    const { ada } = await adaAndGrace(t, proxy.url)
    const { tab } = ada
    await tab.isKept()
    // Such a page is controlled by the worker.
    await tab.page.reload()
    await tab.isLoggedIn()
    await tab.message.fill('Half a sen')
    await tab.page.evaluate(() => {
      window.marked = true
    })
    proxy.additions.set('/sw.js', '\n//')
    await tab.page.evaluate(() => window.document.dispatchEvent(new Event('visibilitychange')))
    await tab.says('A new version is ready.').waitFor()
    assert.equal(await tab.page.evaluate(() => window.marked), true)
    await tab.button('Reload').click()
    await tab.page.waitForFunction(() => !window.marked)
    await tab.isLoggedIn()
    await eventually('the draft is back', async () => (await tab.message.inputValue()) === 'Half a sen')
    assert.equal(await tab.says('A new version is ready.').count(), 0)
  })

  it('works below a path, with its worker and the reference', async (t) => {
    const proxy = await startWebProxy(t, (await server()).url, '/chat')
    const { ada, grace } = await adaAndGrace(t, proxy.url)
    const { tab } = ada
    await tab.send('One')
    await grace.send(ada.username, 'Two')
    await tab.sent('One', 'Sent').waitFor()
    await tab.received('Two').waitFor()
    assert.equal(await tab.isKept(), proxy.url)
    await tab.page.reload()
    await tab.received('Two').waitFor()
    await tab.page.getByRole('link', { name: 'Account' }).click()
    await tab.page.getByRole('link', { name: 'the API reference' }).click()
    await tab.page.waitForURL(`${proxy.url}docs/`)
    await tab.page.getByText('/v1/login').first().waitFor()
  })

  it('works on a slow network', async (t) => {
    const { url } = await server()
    const { ada, grace } = await adaAndGrace(t, url)
    const { page } = ada.tab
    const session = await ada.person.context.newCDPSession(page)
    await session.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 1_000,
      downloadThroughput: 50_000 / 8,
      uploadThroughput: 20_000 / 8,
    })
    for (const text of ['One', 'Two', 'Three']) await ada.tab.send(text)
    await ada.tab.sent('Three', 'Sent').waitFor()
    await grace.send(ada.username, 'Four')
    await ada.tab.received('Four').waitFor()
    const { messages } = (await grace.poll({ wait: 0 })).body
    assert.deepEqual(
      messages.map(({ body }: { body: string }) => body),
      ['One', 'Two', 'Three'],
    )
  })

  it('fills in the invite code of a link', async (t) => {
    const { url } = await server()
    const { tab } = await visit(t, await browser(), `${url}/#invite=pigeon-post`)
    await tab.button('Create account').waitFor()
    assert.equal(await tab.textbox('Invite code').inputValue(), 'pigeon-post')
  })

  it('is usable with the keyboard only', async (t) => {
    const { url } = await server()
    const grace = await new Client({ url }).join(newName('grace'))
    const username = newName('ada')
    const { tab } = await visit(t, await browser(), url)
    const { page } = tab
    const { keyboard } = page
    const isFocused = (locator: Locator) =>
      locator.evaluate((element) => window.document.activeElement === element)
    /** As often as a person would press it. */
    const reach = async (locator: Locator, key = 'Tab') => {
      await locator.waitFor()
      for (let presses = 0; !(await isFocused(locator)); presses++) {
        assert.ok(presses < 30, `Tab does not reach ${locator}`)
        await keyboard.press(key)
      }
    }

    await reach(tab.username)
    await keyboard.type(username)
    await reach(tab.password)
    await keyboard.type(passwordOf(username))
    await reach(tab.button('Create account'))
    await keyboard.press('Enter')
    await tab.isLoggedIn()

    await reach(tab.button('New conversation'))
    await keyboard.press('Enter')
    const name = tab.textbox('Username', tab.dialog)
    await name.waitFor()
    await eventually('the dialog has the focus', () => isFocused(name))
    await keyboard.press('Escape')
    await eventually('the focus is back', () => isFocused(tab.button('New conversation')))
    await keyboard.press('Enter')
    await name.waitFor()
    await keyboard.type(grace.username)
    await keyboard.press('Enter')
    await tab.message.waitFor()
    await eventually('the composer has the focus', () => isFocused(tab.message))
    await keyboard.type('Hello')
    await keyboard.press('Shift+Enter')
    await keyboard.type('Grace')
    await keyboard.press('Enter')
    await tab.sent('Hello\nGrace', 'Sent').waitFor()
    assert.ok(await isFocused(tab.message), 'the focus stays')

    // Rows that were never drawn change their height while scrolling up.
    for (const number of range(0, 60)) await grace.send(username, `${number}\n${'Line\n'.repeat(number % 5)}`)
    await grace.send(username, 'Long\n'.repeat(60))
    await reach(tab.button('Show all'), 'Shift+Tab')
    await keyboard.press('Enter')
    await reach(tab.log, 'Shift+Tab')
    await keyboard.press('Home')
    await eventually('the log scrolls', () => tab.log.evaluate(({ scrollTop }) => scrollTop === 0))
    await reach(tab.button('More'), 'Shift+Tab')
    await keyboard.press('Enter')
    await keyboard.press('Escape')
    await reach(tab.button('Log out'))
    await keyboard.press('Enter')
    await reach(tab.button('Log out now', tab.dialog))
    await keyboard.press('Enter')
    await tab.isLoggedOut()
  })
})
