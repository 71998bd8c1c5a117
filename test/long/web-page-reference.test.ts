import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Page } from 'playwright-core'
import { NO_BROWSER, openBrowser, shareBrowser } from '../support/browser.ts'
import { shareServer } from '../support/servers.ts'
import { startWebProxy } from '../support/web-proxy.ts'

describe('the API reference in a browser', { skip: NO_BROWSER }, () => {
  const server = shareServer()
  const browser = shareBrowser()

  it('tries out operations below a path prefix, with the values shown, on a phone', async (t) => {
    const { url: base } = await startWebProxy(t, (await server()).url, '/chat')
    const { context } = await openBrowser(t, await browser(), { viewport: { width: 390, height: 844 } })
    const page = await context.newPage()

    await page.goto(`${base}docs`)
    const first = page.locator('.opblock').first()
    await first.waitFor()
    const box = await first.boundingBox()
    assert.ok(box && box.y + box.height < 844, 'the first operation is in sight')

    for (const id of [
      ...['Accounts-register', 'Sessions-login', 'Accounts-getUser', 'Messages-sendMessage'],
      ...['Inbox-readInbox', 'Inbox-acknowledge', 'Accounts-updateMe'],
    ])
      assert.match(await tryOut(page, id), /^20[014]$/, id)
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)

    await page.getByRole('link', { name: 'Restante' }).click()
    await page.waitForURL(base)
  })
})

/** Sends an operation with its prefilled values. Resolves with the status. */
async function tryOut(page: Page, id: string): Promise<string> {
  const operation = page.locator(`#operations-${id}`)
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('.try-out__btn').click()
  await operation.locator('.execute').click()
  const status = operation.locator('.live-responses-table tbody .response-col_status').first()
  return ((await status.textContent()) ?? '').trim()
}
