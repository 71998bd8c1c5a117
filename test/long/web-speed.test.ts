/**
 * The times of the web page on a slow phone: a processor four times slower than this one, and 1.6 Mbit/s with
 * 150 ms to the server. The times are printed and not checked, because they depend on the machine.
 */
import { describe, it } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { NO_BROWSER, openBrowser, shareBrowser } from '../support/browser.ts'
import { Client, newName } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { shareServer } from '../support/servers.ts'
import { type ContextOptions, visit } from '../support/web-page.ts'

const SLOWER = 4
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 }
const ROWS = 5_000
const AT_ONCE = 50
const PHONE: ContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

/** Runs before the page: records when the element is painted and the page responds. */
const noteWhenUsable = (selector: string) => `
  globalThis.usable = new Promise((resolve) => {
    const look = () => {
      if (!document.querySelector('${selector}')) return requestAnimationFrame(look)
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
    }
    look()
  })`

interface PageWindow {
  usable: Promise<number>
  performance: { getEntriesByName(name: string): { startTime: number }[] }
}
declare const window: PageWindow

/** @returns the times in words, from the start of the navigation */
async function times(page: Page) {
  const usableMs = await page.evaluate(() => window.usable)
  const paints = () =>
    page.evaluate(() => window.performance.getEntriesByName('first-contentful-paint')[0]?.startTime)
  await eventually('it has painted', async () => (await paints()) !== undefined)
  return `first paint after ${Math.round((await paints()) ?? 0)} ms, usable after ${Math.round(usableMs)} ms`
}

describe('the web page on a slow phone', { skip: NO_BROWSER, timeout: 600_000 }, () => {
  const server = shareServer({ PRESENCE_GRACE: '0s', SENDER_LIMIT: String(2 * ROWS) })
  const browser = shareBrowser()

  it('opens the login', async (t) => {
    const { url } = await server()
    const { context } = await openBrowser(t, await browser(), PHONE)
    const page = await slowTab(context, 'input[name=username]')
    await page.goto(url)
    t.diagnostic(`login, first visit: ${await times(page)}`)
    await page.evaluate('navigator.serviceWorker.ready.then(() => undefined)')
    await page.reload()
    t.diagnostic(`login, kept by the service worker: ${await times(page)}`)
  })

  it(`opens a list and a conversation of ${ROWS} messages`, async (t) => {
    const { url } = await server()
    const username = newName('ada')
    const { tab, person } = await visit(t, await browser(), url, PHONE)
    await tab.createAccount(username)
    const grace = await new Client({ url }).join(newName('grace'))
    let rest = ROWS
    const sendRest = async () => {
      while (rest-- > 0)
        await grace.send(username, `Letter ${rest}: ${'I hope that this finds you well. '.repeat(3)}`)
    }
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: AT_ONCE }, sendRest))
    await tab.conversations.getByRole('link', { name: `${ROWS} unread` }).waitFor({ timeout: 120_000 })
    const tookMs = Math.round(performance.now() - startedAt)
    t.diagnostic(`${ROWS} messages sent and received by an open page: ${tookMs} ms, on the machine as it is`)
    await tab.page.close()

    for (const [view, hash, selector] of [
      ['list', '', 'nav .line'],
      ['conversation', `#/${grace.username}`, '[role=log] .row'],
    ] as const) {
      const page = await slowTab(person.context, selector)
      await page.goto(`${url}/${hash}`)
      t.diagnostic(`${view} with ${ROWS} messages: ${await times(page)}`)
      await page.close()
    }
  })
})

async function slowTab(context: BrowserContext, selector: string) {
  const page = await context.newPage()
  await page.addInitScript(noteWhenUsable(selector))
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  await session.send('Network.emulateNetworkConditions', NETWORK)
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
  return page
}
