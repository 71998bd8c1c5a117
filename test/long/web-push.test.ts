/** Push to the closed web page: the offer, the notification, and a click on it. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { INSECURE_HOST, launchBrowser, NO_BROWSER, openBrowser, shareBrowser } from '../support/browser.ts'
import { BrowserPush, WorkerTools } from '../support/browser-push.ts'
import { Client, newName } from '../support/client.ts'
import { endOfSuite } from '../support/endings.ts'
import { eventually } from '../support/eventually.ts'
import { NO_DESKTOP, startDesktop } from '../support/notifications.ts'
import { PUSH } from '../support/push.ts'
import { CA, PushService } from '../support/push-service.ts'
import { type StartedServer, shareServer, startServer } from '../support/servers.ts'
import { openTab, WebPage } from '../support/web-page.ts'
import { startWebProxy } from '../support/web-proxy.ts'

/** The globals that functions in the page use. */
interface PageWindow {
  localStorage: Record<string, string>
}
declare const window: PageWindow

const OFFER = /^Notify you of new messages/
const REGISTER = /^POST .*\/v1\/me\/push-subscriptions$/

describe('the web page and notifications', { skip: NO_BROWSER, timeout: 600_000 }, () => {
  const ending = endOfSuite()
  let started: Promise<StartedServer> | undefined
  let subscribedAt: Promise<PushService> | undefined
  const service = () => {
    subscribedAt ??= PushService.start(ending)
    return subscribedAt
  }
  const server = () => {
    started ??= startServer(ending, { ...PUSH, PRESENCE_GRACE: '0s' }, undefined, {}, { ca: CA })
    return started
  }
  const withoutPush = shareServer()
  const browser = shareBrowser()

  /** Ada in a browser without a permission yet, and Grace without a browser. */
  async function adaAndGrace(
    t: TestContext,
    { url }: { url: string },
    from = url,
    desktop?: Record<string, string>,
  ) {
    const person = await (desktop ? launchBrowser(t, desktop) : openBrowser(t, await browser()))
    const push = await BrowserPush.of(person.context, from, await service())
    const requests: string[] = []
    person.context.on('request', (request) => requests.push(`${request.method()} ${request.url()}`))
    const tab = await openTab(person, from)
    const username = newName('ada')
    await tab.createAccount(username)
    const grace = await new Client({ url }).join(newName('grace'))
    const registrations = () => requests.filter((request) => REGISTER.test(request)).length
    const offer = tab.says(OFFER)
    /** Accepts the offer. */
    const turnOn = async () => {
      await grace.send(username, 'Hello')
      await tab.button('Turn on').click()
      await offer.waitFor({ state: 'detached' })
    }
    return { person, push, tab, username, grace, requests, registrations, offer, turnOn }
  }

  /** The subscriptions at the server. */
  async function endpoints(tab: WebPage): Promise<string[]> {
    const token = await tab.page.evaluate(() => {
      const name = Object.keys(window.localStorage).find((key) => key.endsWith(' session')) ?? ''
      return JSON.parse(window.localStorage[name] ?? '').state.token
    })
    const { url } = await server()
    const headers = { Authorization: `Bearer ${token}` }
    const answer = (await (await fetch(`${url}/v1/me/push-subscriptions`, { headers })).json()) as {
      subscriptions: { endpoint: string }[]
    }
    return answer.subscriptions.map(({ endpoint }) => endpoint)
  }

  const account = async (tab: WebPage) => {
    await tab.page.getByRole('link', { name: 'Account' }).click()
    return tab.page.getByRole('region', { name: 'Notifications' })
  }

  it('offers notifications with the first message, asks only after a click, and registers at the server', async (t) => {
    const { push, tab, username, grace, offer, requests } = await adaAndGrace(t, await server())
    await eventually('the page has asked the server', () => requests.some((line) => /\/v1\/push$/.test(line)))
    assert.equal(await offer.count(), 0)
    await grace.send(username, 'Hello')
    await offer.waitFor()
    assert.deepEqual([push.asked, push.subscribed], [0, 0])
    await tab.button('Turn on').click()
    await offer.waitFor({ state: 'detached' })
    assert.deepEqual([push.asked, push.subscribed], [1, 1])
    assert.deepEqual(await endpoints(tab), [push.endpoint])
  })

  it('makes its offer once, and never without push on the server', async (t) => {
    const { push, tab, offer, username, grace } = await adaAndGrace(t, await server())
    await grace.send(username, 'Hello')
    await tab.button('Not now').click()
    await offer.waitFor({ state: 'detached' })
    const section = await account(tab)
    await tab.page.reload()
    await tab.button('Turn notifications on', section).waitFor()
    assert.deepEqual([await offer.count(), push.asked], [0, 0])

    const other = await adaAndGrace(t, await withoutPush())
    await other.grace.send(other.username, 'Hello')
    await eventually('the page has asked the server', () =>
      other.requests.some((line) => /\/v1\/push$/.test(line)),
    )
    const none = await account(other.tab)
    await other.tab.button('Create token').waitFor()
    assert.deepEqual([await other.offer.count(), await none.count()], [0, 0])
  })

  it('registers again at each load, in one tab, and subscribes again when the key has changed', async (t) => {
    const { person, push, tab, turnOn, registrations, username, grace } = await adaAndGrace(t, await server())
    await turnOn()
    await tab.page.reload()
    await eventually('it registers again', () => registrations() === 2)
    const another = await openTab(person, tab.page.url())
    await grace.send(username, 'To both')
    for (const { conversations } of [tab, another]) await conversations.getByText('To both').waitFor()
    assert.deepEqual([registrations(), push.subscribed], [2, 1])
    await another.page.close()

    const before = push.subscription
    assert.ok(before)
    before.applicationServerKey = before.keys.p256dh
    await tab.page.reload()
    await eventually('it subscribes anew', () => push.subscribed === 2)
    assert.notEqual(push.subscription?.applicationServerKey, before.keys.p256dh)
    await eventually('the server knows', async () => (await endpoints(tab)).includes(String(push.endpoint)))
  })

  it('registers the new subscription after the browser has changed it', async (t) => {
    const { person, push, tab, turnOn } = await adaAndGrace(t, await server())
    await turnOn()
    await tab.isKept()
    push.subscription = undefined
    const [worker] = person.context.serviceWorkers()
    const event = "Object.assign(new Event('pushsubscriptionchange'), { waitUntil() {} })"
    await worker?.evaluate(`dispatchEvent(${event})`)
    await eventually('it subscribes anew', () => push.subscribed === 2)
    await eventually('the server knows', async () => (await endpoints(tab)).includes(String(push.endpoint)))
  })

  it('ends the subscription when they are turned off, and at the logout', async (t) => {
    const { push, tab, turnOn, username, grace, offer } = await adaAndGrace(t, await server())
    await turnOn()
    const section = await account(tab)
    await tab.button('Turn notifications off', section).click()
    await tab.button('Turn notifications on', section).waitFor()
    await eventually('the server knows', async () => (await endpoints(tab)).length === 0)
    assert.equal(push.endpoint, undefined)

    await tab.button('Turn notifications on', section).click()
    await tab.button('Turn notifications off', section).waitFor()
    assert.deepEqual(await endpoints(tab), [push.endpoint])
    await tab.button('Log out').first().click()
    await tab.button('Log out now', tab.dialog).click()
    await tab.isLoggedOut()
    await eventually('the browser has none', () => push.endpoint === undefined)

    await tab.logIn(username)
    await grace.send(username, 'Are you there?')
    await offer.waitFor()
    assert.deepEqual([await endpoints(tab), push.subscribed], [[], 2])
  })

  it('keeps the choice when the session ends elsewhere, and never uses it for another account', async (t) => {
    const { push, tab, turnOn, registrations, username } = await adaAndGrace(t, await server())
    await turnOn()
    const elsewhere = new Client(await server())
    await elsewhere.login(username, { takeover: true })
    await tab.isLoggedOut()
    await tab.logIn(username)
    await eventually('it registers again', () => registrations() === 2)
    assert.equal(push.subscribed, 1)

    await elsewhere.login(username, { takeover: true })
    await tab.isLoggedOut()
    await tab.createAccount(newName('eve'))
    await eventually('the browser has none', () => push.endpoint === undefined)
    assert.deepEqual([await endpoints(tab), registrations()], [[], 2])
  })

  it('explains a refused permission, a missing answer, and a browser without push', async (t) => {
    const { push, tab, grace, username, offer } = await adaAndGrace(t, await server())
    await grace.send(username, 'Hello')
    await offer.waitFor()
    push.answer = 'default'
    await tab.button('Turn on').click()
    await tab.says('Try again, and choose Allow.').waitFor()
    const section = await account(tab)
    push.answer = 'granted'
    push.hangs = true
    await tab.page.clock.install()
    await tab.button('Turn notifications on', section).click()
    await eventually('the user was asked', () => push.asked === 2)
    await eventually('it gives up', async () => {
      await tab.page.clock.fastForward(5_000)
      return (await section.getByText('does not answer. Try again later.').count()) > 0
    })
    assert.deepEqual(await endpoints(tab), [])
    push.answer = 'denied'
    await tab.button('Turn notifications on', section).click()
    await section.getByText('Your browser blocks notifications of this page.').waitFor()
    assert.equal(await section.getByRole('button').count(), 0)

    const { url } = await server()
    const insecure = await openTab(
      await openBrowser(t, await browser()),
      url.replace('127.0.0.1', INSECURE_HOST),
    )
    await insecure.createAccount(newName('ada'))
    await (await account(insecure)).getByText('The address of this page begins with http.').waitFor()
  })

  it('shows one notification for all pushes, whatever they contain, until the messages are read', async (t) => {
    const { tab, turnOn, push } = await adaAndGrace(t, await server())
    await turnOn()
    await push.setPermission('granted')
    await tab.isKept()
    const tools = await WorkerTools.of(tab.page)
    for (const data of [
      '{"type": "message", "newest": 7}',
      '',
      'not JSON',
      '[]',
      'null',
      '{"type": "new in v2"}',
    ])
      await tools.push(data)
    await eventually('they are shown', async () => (await tools.notifications()).at(-1)?.data === 0)
    assert.deepEqual(await tools.notifications(), [{ title: 'New message', tag: 'message', data: 0 }])
    await tools.push('{"type": "message", "newest": 8}')
    await eventually('it is replaced', async () => (await tools.notifications())[0]?.data === 8)
    assert.equal((await tools.notifications()).length, 1)

    await tab.conversations.getByText('Hello').click()
    await eventually('it is gone', async () => (await tools.notifications()).length === 0)
    await tools.push('{"type": "message", "newest": 1}')
    await eventually('what was read before goes, too', async () => (await tools.notifications()).length === 0)
  })

  it('opens the conversation at a click, in the open page or a new one, below a path', {
    skip: NO_DESKTOP,
  }, async (t) => {
    const { url } = await server()
    const below = await startWebProxy(t, url, '/chat')
    const desktop = await startDesktop(t)
    const { tab, turnOn, push, person, username, grace } = await adaAndGrace(
      t,
      { url },
      below.url,
      desktop.env,
    )
    await turnOn()
    await push.setPermission('granted')
    await tab.isKept()
    const tools = await WorkerTools.of(tab.page)
    const clickOnPush = async (data: string) => {
      const before = desktop.shown.length
      await tools.push(data)
      await eventually('it is shown', () => desktop.shown.length > before)
      const shown = desktop.shown.at(-1)
      assert.ok(shown)
      assert.equal(shown.summary, 'New message')
      desktop.click(shown)
    }
    await account(tab)
    const pages = person.context.pages().length
    await clickOnPush('{"type": "message", "newest": 1}')
    await tab.received('Hello').waitFor()
    assert.equal(person.context.pages().length, pages)

    await tab.page.goto(`${below.url}docs`)
    const opened = person.context.waitForEvent('page')
    await grace.send(username, 'Good night')
    await eventually('the server sends a hint', () => push.hints().length === 1)
    await clickOnPush(String(push.hints()[0]?.text))
    const another = new WebPage(await opened)
    await another.received('Good night').waitFor()
    assert.equal(new URL(another.page.url()).pathname, '/chat/')
  })
})
