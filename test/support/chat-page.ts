import type { TestContext } from 'node:test'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import type { App, OpenConversation } from '../../web/src/chat/types.ts'
import { openBrowser } from './browser.ts'
import { newName, passwordOf } from './client.ts'

/** The globals that functions in the page use. */
export interface PageWindow {
  app: App
  /** The conversation on the screen. */
  conversation: OpenConversation
  isSecureContext: boolean
  localStorage: Record<string, string> & { setItem(name: string, value: string): void }
  indexedDB: { databases(): Promise<{ name: string }[]> }
  document: object & { dispatchEvent(event: Event): void }
}
declare const window: PageWindow

/** The chat without its views, in a page at the address of a server. */
const chat = build({
  stdin: {
    contents: `import { createApp } from './web/src/chat/app.ts'; globalThis.app = createApp()`,
    resolveDir: process.cwd(),
  },
  bundle: true,
  format: 'iife',
  tsconfig: 'web/tsconfig.json',
  write: false,
}).then(({ outputFiles }) => outputFiles[0]?.text ?? '')

/** The page. The script runs before the chat. */
export const chatPage = async (script = '') =>
  `<!doctype html><title>Chat</title><link rel="icon" href="data:,"><script>${script}</script><script>${await chat}</script>`

/** A person with an account, and a browser with tabs. */
export async function somebody(t: TestContext, browser: Browser, url: string) {
  const person = await openBrowser(t, browser)
  const username = newName('ada')
  const credentials = { username, password: passwordOf(username) }
  const openTab = async () => new Tab(await person.open(url), credentials)
  return { ...person, credentials, username, openTab }
}

/** Without it, a page draws a frame for each check. */
const LOOKS = { polling: 50 }

/** One tab with the chat. */
export class Tab {
  readonly page: Page
  readonly credentials: { username: string; password: string }

  constructor(page: Page, credentials: { username: string; password: string }) {
    this.page = page
    this.credentials = credentials
  }

  /** Creates the account, and logs in. */
  join() {
    return this.page.evaluate((account) => window.app.register(account), this.credentials)
  }

  /** Resolves with the code of the problem, if there is one. */
  login(takeover = false): Promise<string | undefined> {
    return this.page.evaluate(
      (credentials) =>
        window.app.login(credentials).then(
          () => undefined,
          (problem) => problem.code,
        ),
      { ...this.credentials, takeover },
    )
  }

  /** Hides or shows the tab, as if another one were in front of it. */
  setHidden(hidden: boolean) {
    return this.page.evaluate((value) => {
      Object.defineProperty(window.document, 'hidden', { value, configurable: true })
      window.document.dispatchEvent(new Event('visibilitychange'))
    }, hidden)
  }

  state() {
    return this.page.evaluate(() => window.app.state.value)
  }

  async is(state: 'logged-in' | 'logged-out') {
    await this.page.waitForFunction((wanted) => window.app.state.value === wanted, state, LOOKS)
  }

  async isLive() {
    await this.page.waitForFunction(
      () => window.app.chat.value?.connection.value.state === 'live',
      undefined,
      LOOKS,
    )
  }

  openConversation(username: string) {
    return this.page.evaluate((name) => {
      const { value: chat } = window.app.chat
      if (!chat) throw new Error('Nobody is logged in.')
      window.conversation = chat.open(name)
      return window.conversation.draft
    }, username)
  }

  /** Resolves when it is stored. */
  send(body: string) {
    return this.page.evaluate((text) => window.conversation.send(text), body)
  }

  /** The rows on the screen, as `received: Hello`, or `delivered: Hello`. */
  rows(): Promise<string[]> {
    return this.page.evaluate(rowTexts)
  }

  /** Resolves when these rows are on the screen; otherwise fails with the rows that are. */
  async shows(...rows: string[]) {
    await this.page
      .waitForFunction(
        ([wanted]) =>
          JSON.stringify(
            window.conversation?.rows.value?.map(
              (row) => `${row.kind === 'sent' ? row.state : row.kind}: ${row.body}`,
            ),
          ) === wanted,
        [JSON.stringify(rows)],
        LOOKS,
      )
      .catch(async (cause) => {
        throw new Error(`It shows ${JSON.stringify(await this.rows())}, not ${JSON.stringify(rows)}.`, {
          cause,
        })
      })
  }
}

const rowTexts = () =>
  (window.conversation?.rows.value ?? []).map(
    (row) => `${row.kind === 'sent' ? row.state : row.kind}: ${row.body}`,
  )
