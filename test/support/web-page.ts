import type { Browser, Locator, Page } from 'playwright-core'
import { openBrowser, type Person } from './browser.ts'
import { passwordOf } from './client.ts'
import type { Ending } from './endings.ts'

/** The globals that functions in the page use. */
declare const window: { navigator: { serviceWorker: { ready: Promise<{ scope: string }> } } }

/** The state of a sent message, in the words of the page. */
export type Tick = 'Waiting to be sent' | 'Not sent' | 'Sent' | 'Delivered'

/** The real page in one tab. Everything is found by role and name, like with a screen reader. */
export class WebPage {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  get username() {
    return this.textbox('Username')
  }

  get password() {
    return this.textbox('Password')
  }

  get message() {
    return this.textbox('Message')
  }

  /** The messages of the conversation on the screen. */
  get log() {
    return this.page.getByRole('log', { name: 'Messages', exact: true })
  }

  get conversations() {
    return this.page.getByRole('list', { name: 'Conversations', exact: true })
  }

  get dialog() {
    return this.page.getByRole('dialog')
  }

  /** The visible messages of the page: a screen reader gets some of them from another place. */
  says(text: string | RegExp) {
    return this.page.getByRole('main').getByText(text)
  }

  button(name: string, within: Page | Locator = this.page) {
    return within.getByRole('button', { name, exact: true })
  }

  textbox(name: string, within: Page | Locator = this.page) {
    return within.getByRole('textbox', { name, exact: true })
  }

  /** A message of the other person in the log. */
  received(text: string) {
    return this.log.getByText(new RegExp(`^(?!You: ).*: ${escaped(text)}`))
  }

  /** A sent message. */
  sent(text: string, tick: Tick) {
    return this.log.getByText(new RegExp(`^You: ${escaped(text)}.*${tick}$`))
  }

  async fillIn(username: string) {
    await this.username.fill(username)
    await this.password.fill(passwordOf(username))
  }

  async createAccount(username: string) {
    await this.fillIn(username)
    await this.button('Create account').click()
    await this.isLoggedIn()
  }

  async logIn(username: string) {
    await this.fillIn(username)
    await this.button('Log in').click()
    await this.isLoggedIn()
  }

  async isLoggedIn() {
    await this.button('New conversation').waitFor()
  }

  async isLoggedOut() {
    await this.button('Log in').waitFor()
  }

  /** Resolves when the service worker has stored the page, with the scope of the worker. */
  isKept() {
    return this.page.evaluate(async () => (await window.navigator.serviceWorker.ready).scope)
  }

  async startConversation(username: string) {
    await this.button('New conversation').click()
    await this.textbox('Username', this.dialog).fill(username)
    await this.button('Start', this.dialog).click()
    await this.message.waitFor()
  }

  async openConversation(name: string) {
    await this.conversations.getByRole('link', { name }).click()
    await this.message.waitFor()
  }

  async send(text: string) {
    await this.message.fill(text)
    await this.button('Send').click()
  }
}

/** A browser that opens the page for the first time. */
export async function visit(t: Ending, browser: Browser, url: string, options?: ContextOptions) {
  const person = await openBrowser(t, browser, options)
  return { person, tab: await openTab(person, url) }
}

export type ContextOptions = Parameters<Browser['newContext']>[0]

export const openTab = async (person: Person, url: string) => new WebPage(await person.open(url))

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
