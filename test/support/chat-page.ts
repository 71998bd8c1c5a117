import type { TestContext } from 'node:test'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import type { App, OpenConversation } from '../../web/src/chat/types.ts'
import { INSECURE_HOST, openBrowser } from './browser.ts'
import { newName, passwordOf } from './client.ts'

/** What functions that run in the page see of it. */
export interface PageWindow {
  app: App
  /** The conversation on the screen. */
  conversation: OpenConversation
  isSecureContext: boolean
  localStorage: Record<string, string> & { setItem(name: string, value: string): void }
  indexedDB: { databases(): Promise<{ name: string }[]> }
  location: { reload(): void }
  document: object & { dispatchEvent(event: Event): void }
}
declare const window: PageWindow

/** The chat without its views, in a page from the address of a server. */
const script = build({
  stdin: {
    contents: `import { createApp } from './web/src/chat/app.ts'; globalThis.app = createApp()`,
    resolveDir: process.cwd(),
  },
  bundle: true,
  format: 'iife',
  tsconfig: 'web/tsconfig.json',
  write: false,
}).then(({ outputFiles }) => outputFiles[0]?.text ?? '')

/** Somebody who has an account, and a browser with tabs. */
export async function somebody(
  t: TestContext,
  browser: Browser,
  { url, insecure = false, path = '/' }: { url: string; insecure?: boolean; path?: string },
) {
  const address = insecure ? url.replace('127.0.0.1', INSECURE_HOST) : url
  const person = await openBrowser(t, browser)
  await person.context.route(`${address}${path}`, async (route) => {
    const body = `<!doctype html><title>Chat</title><script>${await script}</script>`
    await route.fulfill({ contentType: 'text/html; charset=utf-8', body })
  })
  const username = newName('ada')
  const credentials = { username, password: passwordOf(username) }
  const openTab = async () => new Tab(await person.open(address + path), credentials)
  return { ...person, credentials, username, openTab }
}

/** One tab with the chat. */
export class Tab {
  readonly page: Page
  readonly credentials: { username: string; password: string }

  constructor(page: Page, credentials: { username: string; password: string }) {
    this.page = page
    this.credentials = credentials
  }

  /** Opens the account, and logs in. */
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

  state() {
    return this.page.evaluate(() => window.app.state.value)
  }

  async is(state: 'logged-in' | 'logged-out') {
    await this.page.waitForFunction((wanted) => window.app.state.value === wanted, state)
  }

  async isLive() {
    await this.page.waitForFunction(() => window.app.chat.value?.connection.value.state === 'live')
  }

  openConversation(username: string) {
    return this.page.evaluate((name) => {
      const { value: chat } = window.app.chat
      if (!chat) throw new Error('Nobody is logged in.')
      window.conversation = chat.open(name)
      return window.conversation.draft
    }, username)
  }

  /** Resolves once it is kept. */
  send(body: string) {
    return this.page.evaluate((text) => window.conversation.send(text), body)
  }

  /** The rows on the screen, as `received: Hello`, or `delivered: Hello`. */
  rows(): Promise<string[]> {
    return this.page.evaluate(rowTexts)
  }

  /** Resolves when these rows are on the screen, and fails with those that are there instead. */
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
