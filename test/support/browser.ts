import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page, type Request } from 'playwright-core'
import { atTheEnd, type Ending, endOfSuite } from './endings.ts'

const CHROMIUM = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== undefined && existsSync(path))

const EXECUTABLE = CHROMIUM !== undefined && { executablePath: CHROMIUM }

/** Why tests in a browser are skipped, for the option `skip`; false if they run. */
export const NO_BROWSER = CHROMIUM ? false : 'No Chromium is installed. Install one, or set CHROMIUM_PATH.'

/**
 * A name that leads to this machine, so that a plain http address is no secure context, as in a home network.
 */
export const INSECURE_HOST = 'restante.test'

/** The time-out of waits in a page. They take about a second, and much longer on a busy machine. */
const TIMEOUT_MS = 60_000

const POLICY_VIOLATIONS_TO_CONSOLE = `
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    console.error('The content security policy forbids ' + blockedURI + ': ' + violatedDirective))`

/** One Chromium for many tests, like `shareServer`. */
export function shareBrowser(): () => Promise<Browser> {
  let browser: Promise<Browser> | undefined
  const ending = endOfSuite()
  return () => {
    if (!browser) {
      const args = [`--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`]
      browser = chromium.launch({ args, ...EXECUTABLE })
      atTheEnd(ending, async () => (await browser)?.close())
    }
    return browser
  }
}

/** The browser of one person: its storage and its tabs. */
export interface Person {
  context: BrowserContext
  /** Requests of all tabs that wait for their answers, as `GET /v1/inbox`. */
  waiting: (request: string) => { page: Page; url: URL }[]
  open: (url: string) => Promise<Page>
}

/**
 * An empty browser. The test fails if a page has thrown an error, has logged one to the console, or has
 * violated its content security policy.
 */
export async function openBrowser(
  t: Ending,
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Person> {
  return watch(t, await browser.newContext(options))
}

/**
 * As `openBrowser`, in a Chromium of its own with a profile: the contexts of a shared one are as private
 * windows, in which a click on a notification leads nowhere.
 *
 * @param env variables beside those of this process
 */
export async function launchBrowser(t: Ending, env: Record<string, string>): Promise<Person> {
  const all = { ...(process.env as Record<string, string>), ...env }
  return watch(t, await chromium.launchPersistentContext('', { env: all, ...EXECUTABLE }))
}

async function watch(t: Ending, context: BrowserContext): Promise<Person> {
  context.setDefaultTimeout(TIMEOUT_MS)
  const faults: string[] = []
  const requests = new Set<Request>()
  await context.addInitScript(POLICY_VIOLATIONS_TO_CONSOLE)
  context.on('weberror', (error) => faults.push(String(error.error().stack)))
  context.on('console', (message) => {
    // Chromium writes every answer above 399 there, and every request without one.
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) faults.push(message.text())
  })
  context.on('request', (request) => requests.add(request))
  context.on('requestfinished', (request) => requests.delete(request))
  context.on('requestfailed', (request) => requests.delete(request))
  atTheEnd(t, async () => {
    await context.close()
    assert.deepEqual(faults, [], 'the pages have no errors')
  })
  return {
    context,
    waiting: (wanted) =>
      [...requests].flatMap((request) => {
        const url = new URL(request.url())
        const isWanted = `${request.method()} ${url.pathname}` === wanted
        // The requests of a page that is closed have no end.
        return isWanted && !request.frame().page().isClosed() ? [{ page: request.frame().page(), url }] : []
      }),
    async open(url) {
      const page = await context.newPage()
      await page.goto(url)
      return page
    },
  }
}
