/**
 * Every view of the web page, on a phone and on a desktop, light and dark: axe-core finds no barrier.
 * VIEWS_TO=folder saves a picture of each.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { INSECURE_HOST, NO_BROWSER, openBrowser, shareBrowser } from '../support/browser.ts'
import { BrowserPush } from '../support/browser-push.ts'
import { Client, newName } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { PUSH } from '../support/push.ts'
import { PushService } from '../support/push-service.ts'
import { shareServer } from '../support/servers.ts'
import { openTab, visit, type WebPage } from '../support/web-page.ts'

const WIDTHS = { phone: 390, desktop: 1280 }
const COLOURS = ['light', 'dark'] as const
const HEIGHT = 800

const VIEWS_TO = process.env['VIEWS_TO']
if (VIEWS_TO) mkdirSync(VIEWS_TO, { recursive: true })

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

interface PageWindow {
  axe?: { run(): Promise<{ violations: Violation[] }> }
}
interface Violation {
  id: string
  nodes: { html: string; failureSummary: string }[]
}
declare const window: PageWindow

/**
 * Checks the screen in all forms.
 *
 * @param show shows it again for each form, and resolves with a function that ends this
 */
async function look(tab: WebPage, view: string, show?: () => Promise<() => Promise<void>>) {
  const { page } = tab
  for (const [device, width] of Object.entries(WIDTHS))
    for (const colorScheme of COLOURS) {
      const form = `${view}, ${device}, ${colorScheme}`
      await page.setViewportSize({ width, height: HEIGHT })
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      const hide = await show?.()
      await page.evaluate(`globalThis.axe ?? ${AXE}`)
      const violations = await page.evaluate(async () => (await window.axe?.run())?.violations)
      const faults = violations?.map(({ id, nodes }) => ({
        id,
        where: nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
      }))
      assert.deepEqual(faults, [], form)
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      assert.ok(Number(overflow) <= 0, `${form}: it is ${overflow} px too wide`)
      if (VIEWS_TO) await page.screenshot({ path: joinPath(VIEWS_TO, `${form.replaceAll(', ', '-')}.png`) })
      await hide?.()
    }
}

describe('every view of the web page', { skip: NO_BROWSER, timeout: 600_000 }, () => {
  const server = shareServer()
  const waking = shareServer(PUSH)
  const browser = shareBrowser()

  it('is accessible before the login', async (t) => {
    const { url } = await server()
    const { tab, person } = await visit(t, await browser(), url)
    await look(tab, 'login')
    await tab.button('Log in').click()
    await tab.says('Enter your username.').waitFor()
    await look(tab, 'login with a fault')
    await tab.button('Create account').click()
    await tab.textbox('Display name (optional)').waitFor()
    await look(tab, 'create account')
    const invited = await openTab(person, `${url}/#invite=pigeon-post`)
    await look(invited, 'create account by invite')
    const lost = await openTab(person, `${url}/nowhere`)
    await look(lost, 'not found')
  })

  it('is accessible during a chat', async (t) => {
    const { url } = await server()
    const [ada, grace, eve] = [newName('ada'), newName('grace'), newName('eve')]
    const [toGrace, toEve] = await Promise.all([grace, eve].map((name) => new Client({ url }).join(name)))
    assert.ok(toGrace && toEve)
    await toGrace.update({ displayName: 'Grace Hopper' })
    const { tab, person } = await visit(t, await browser(), url)
    await tab.createAccount(ada)
    await look(tab, 'empty')
    await tab.button('New conversation').click()
    await look(tab, 'new conversation')
    await tab.textbox('Username', tab.dialog).fill('nobody-at-all')
    await tab.button('Start', tab.dialog).click()
    await tab.says('There is no user with this name.').waitFor()
    await look(tab, 'new conversation with a fault')
    await tab.button('Cancel', tab.dialog).click()
    await tab.startConversation(grace)
    await look(tab, 'conversation without messages')

    await toEve.send(ada, 'Did you see https://example.org/engines (page 7)?')
    await toEve.send(ada, 'שלום')
    await tab.send('Good morning')
    await tab.sent('Good morning', 'Sent').waitFor()
    const { body } = await toGrace.poll({ wait: 10 })
    await toGrace.acknowledge(body.cursor)
    await tab.sent('Good morning', 'Delivered').waitFor()
    await toGrace.send(ada, 'Good morning, Ada. Look: https://example.org/moth')
    await toGrace.send(ada, 'A long list\n'.repeat(40))
    await tab.received('A long list').waitFor()
    await tab.send('Nice')
    await tab.sent('Nice', 'Sent').waitFor()
    await toGrace.block(ada)
    await tab.send('Are you there?')
    await tab.sent('Are you there?', 'Not sent').waitFor()
    await look(tab, 'conversation')
    await tab.log.focus()
    await tab.page.keyboard.press('Home')
    await tab.button('Go to the newest message').waitFor()
    await look(tab, 'conversation further up')
    await look(tab, 'conversation with its menu', async () => {
      await tab.button('More').click()
      return () => tab.page.keyboard.press('Escape')
    })
    await tab.button('More').click()
    await tab.button('Delete conversation…').click()
    await look(tab, 'delete conversation')
    await tab.button('Cancel', tab.dialog).click()
    await person.context.setOffline(true)
    await tab.says('No connection.').waitFor()
    await tab.send('Hello?')
    await look(tab, 'conversation without a network')
    await person.context.setOffline(false)
    await tab.sent('Hello?', 'Not sent').waitFor()
    await tab.page.goBack()
    await look(tab, 'list')

    await tab.page.getByRole('link', { name: 'Account' }).click()
    await toEve.block(ada)
    await tab.textbox('Name of the new token').fill('door bell')
    await tab.button('Create token').click()
    await tab.button('Copy the token').waitFor()
    await look(tab, 'account')
    await tab.button('Delete account…').click()
    await look(tab, 'delete account')
    await tab.button('Cancel', tab.dialog).click()
    // The page waits some seconds, and then logs out.
    await look(tab, 'log out', async () => {
      await tab.button('Log out').first().click()
      return () => tab.button('Cancel', tab.dialog).click()
    })

    const other = await visit(t, await browser(), url)
    await other.tab.fillIn(ada)
    await other.tab.button('Log in').click()
    await other.tab.button('Log in here').waitFor()
    await look(other.tab, 'login when logged in elsewhere')
    await other.tab.button('Log in here').click()
    await tab.isLoggedOut()
    await look(tab, 'login after a login elsewhere')
    await eventually('messages are kept', () => tab.button('Delete its messages').isVisible())
  })

  it('is accessible with and without notifications', async (t) => {
    const { url } = await waking()
    const person = await openBrowser(t, await browser())
    const push = await BrowserPush.of(person.context, url, await PushService.start(t))
    const tab = await openTab(person, url)
    const ada = newName('ada')
    await tab.createAccount(ada)
    const grace = await new Client({ url }).join(newName('grace'))
    await grace.send(ada, 'Good morning')
    await tab.button('Turn on').waitFor()
    await look(tab, 'offer of notifications')
    push.answer = 'default'
    await tab.button('Turn on').click()
    await tab.says('Try again, and choose Allow.').waitFor()
    await look(tab, 'offer of notifications not allowed')

    const section = tab.page.getByRole('region', { name: 'Notifications' })
    await tab.page.getByRole('link', { name: 'Account' }).click()
    await section.waitFor()
    await look(tab, 'account with notifications off')
    push.answer = 'granted'
    await tab.button('Turn notifications on').click()
    await tab.button('Turn notifications off').waitFor()
    await look(tab, 'account with notifications on')
    await tab.page.route('**/v1/me/push-subscriptions', (route) => route.abort())
    await tab.page.reload()
    await tab.button('Try again').waitFor()
    await look(tab, 'account with notifications that fail')
    await push.setPermission('denied')
    await tab.page.reload()
    await section.getByText('Your browser blocks notifications').waitFor()
    await look(tab, 'account with notifications blocked')

    const insecure = await visit(t, await browser(), url.replace('127.0.0.1', INSECURE_HOST))
    await insecure.tab.createAccount(newName('ada'))
    await insecure.tab.page.getByRole('link', { name: 'Account' }).click()
    await insecure.tab.says('The address of this page begins with http.').waitFor()
    await look(insecure.tab, 'account without notifications')
  })
})
