/**
 * The pictures of README: the web page on a desktop and on a phone, light and dark. `npm run pictures` renews
 * them.
 */
import assert from 'node:assert/strict'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Browser } from 'playwright-core'
import { NO_BROWSER, shareBrowser } from '../support/browser.ts'
import { Client } from '../support/client.ts'
import { wallClock } from '../support/clocks.ts'
import { startServer } from '../support/servers.ts'
import { visit } from '../support/web-page.ts'

const FOLDER = 'docs/pictures'
const COLOURS = ['light', 'dark'] as const
const BYTES_MAX = 60_000
const MINUTE_MS = 60_000

/** Their sizes side by side, in pixels of the page. */
const DESKTOP = { width: 930, height: 680 }
const PHONE = { width: 390, height: 850 }
const GAP = 26
/** A phone is smaller than a desktop. */
const PHONE_SCALE = DESKTOP.height / PHONE.height
/** Pixels of the picture per pixel of the page. */
const SHARPNESS = 1.5
const QUALITY = 82

/** If it is installed: it is closer to the fonts of most systems than those of a Linux without a desktop. */
const FONT = 'html { font-family: Inter, system-ui, sans-serif }'

const BEGINS = Date.parse('2026-12-01T08:12:00Z')

/** The senders to Ada, and the minutes before the next one. */
const EARLIER = [
  ['mary', 'Mary Somerville', 'The comet is back, and it is not a smudge on my lens.', 34],
  ['babbage', 'Charles Babbage', 'The Engine is nearly finished. It has been since 1834.', 21],
  ['katherine', 'Katherine Johnson', 'I did the numbers again by hand. You may launch.', 27],
] as const

/** The senders, and the minutes before the next one. */
const TALK = [
  ['grace', 'Ada! They say you wrote a program before there was a machine to run it.', 1],
  ['ada', 'There was half a machine and a very patient inventor. The rest was footnotes.', 3],
  ['grace', 'We found a moth in relay 70 today. It is taped into the logbook now 🦋', 2],
  ['ada', 'My errors never had wings. Did the result improve?', 1],
  ['grace', 'It did. I carry a nanosecond with me now, too: thirty centimetres of wire.', 4],
  ['ada', 'Then send me an hour of it, and a strong horse 🐎', 1],
  ['grace', 'I will leave it at the post office. They keep it until you call for it.', 0],
] as const

describe('the pictures of README', { skip: NO_BROWSER, timeout: 300_000 }, () => {
  const browser = shareBrowser()

  it('exist, and are small', () => {
    for (const colours of COLOURS) {
      const { size } = statSync(`${FOLDER}/chat-${colours}.webp`)
      assert.ok(size > 1_000 && size < BYTES_MAX, `chat-${colours}.webp has ${size} bytes`)
    }
  })

  it('are made on request', {
    skip: !process.env['PICTURES'] && 'Run npm run pictures.',
  }, async (t) => {
    const clock = await wallClock(t)
    await clock.step(BEGINS - clock.now())
    const server = await startServer(t, {}, clock.database)
    const client = new Client(server)
    const people = [['ada', 'Ada Lovelace'], ['grace', 'Grace Hopper'], ...EARLIER] as const
    for (const [username, displayName] of people) await (await client.join(username)).update({ displayName })

    const options = { timezoneId: 'UTC', locale: 'en-GB', deviceScaleFactor: 2, bypassCSP: true }
    const [ada, grace] = await Promise.all([
      visit(t, await browser(), server.url, { ...options, viewport: DESKTOP }),
      visit(t, await browser(), server.url, { ...options, viewport: PHONE, hasTouch: true, isMobile: true }),
    ])
    const pages = { ada: ada.tab, grace: grace.tab }
    const pass = async (minutes: number) => {
      await clock.step(minutes * MINUTE_MS)
      for (const { page } of Object.values(pages)) await page.clock.setFixedTime(clock.now())
    }
    await pass(0)
    await pages.ada.logIn('ada')
    await pages.grace.logIn('grace')
    for (const [username, displayName, text, minutes] of EARLIER) {
      await (await client.enter(username)).send('ada', text)
      await pages.ada.conversations.getByRole('link', { name: displayName }).waitFor()
      if (username === 'babbage') {
        await pages.ada.openConversation(displayName)
        await pages.ada.page.goBack()
      }
      await pass(minutes)
    }
    await pages.ada.startConversation('grace')
    await pages.grace.startConversation('ada')
    for (const [username, text, minutes] of TALK) {
      await pages[username].send(text)
      await pages[username].sent(text, 'Delivered').waitFor()
      await pages[username === 'ada' ? 'grace' : 'ada'].received(text).waitFor()
      await pass(minutes)
    }

    mkdirSync(FOLDER, { recursive: true })
    for (const colorScheme of COLOURS) {
      const shots = []
      for (const { page } of Object.values(pages)) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.addStyleTag({ content: FONT })
        // Without a focus ring and a caret.
        await page.evaluate('document.activeElement?.blur()')
        shots.push((await page.screenshot()).toString('base64'))
      }
      writeFileSync(`${FOLDER}/chat-${colorScheme}.webp`, await sideBySide(await browser(), shots))
    }
  })
})

/** Combines two pictures into one, as WebP, with transparent round corners. */
async function sideBySide(browser: Browser, [desktop, phone]: string[]): Promise<Buffer> {
  const phoneWidth = Math.round(PHONE.width * PHONE_SCALE)
  const viewport = { width: DESKTOP.width + GAP + phoneWidth, height: DESKTOP.height }
  const context = await browser.newContext({ viewport, deviceScaleFactor: SHARPNESS })
  const page = await context.newPage()
  const image = (content = '', radius: number) =>
    `<img src="data:image/png;base64,${content}" style="border-radius: ${radius}px">`
  await page.setContent(`<style>
    body { margin: 0; display: flex; gap: ${GAP}px }
    img { height: ${DESKTOP.height}px; box-sizing: border-box; border: 1px solid #8886 }
    </style>${image(desktop, 12)}${image(phone, 28)}`)
  const session = await context.newCDPSession(page)
  await session.send('Emulation.setDefaultBackgroundColorOverride', { color: { r: 0, g: 0, b: 0, a: 0 } })
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY })
  await context.close()
  return Buffer.from(data, 'base64')
}
