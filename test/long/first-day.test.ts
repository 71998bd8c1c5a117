/** The first day of docs/operating.md in a clean checkout, with npm and open pages. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { NO_BROWSER, shareBrowser } from '../support/browser.ts'
import { onPostgres, scratchFolder } from '../support/databases.ts'
import { type Day, inviteIn, walkThroughFirstDay } from '../support/first-day.ts'
import {
  missingCommands,
  pathWithPrograms,
  postgresStandIns,
  standIn,
} from '../support/stand-ins/stand-ins.ts'
import { visit, type WebPage } from '../support/web-page.ts'

/** The titles of the runbook's steps. */
const SAYS_WHY_MS_MAX = 1_000

/** Everything that a clone does not have, except the packages, which take minutes to install. */
const LEFT_OUT = ['node_modules', 'dist', 'build', 'generated', 'data', '.git', '.env']

describe('a new operator, with users on open pages', { skip: NO_BROWSER, timeout: 900_000 }, () => {
  const browser = shareBrowser()

  it('can do what the first day of the runbook shows; a disabled account learns why within a second', async (t) => {
    const checkout = join(scratchFolder(t), 'restante')
    cpSync('.', checkout, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) })
    symlinkSync(resolve('node_modules'), join(checkout, 'node_modules'))
    execFileSync('npm', ['run', 'build'], { cwd: checkout, stdio: 'pipe' })
    const programs = Object.fromEntries(missingCommands().map((command) => [command, standIn(command)]))
    const path = pathWithPrograms(t, { ...programs, ...(onPostgres && postgresStandIns()) })
    let ada: WebPage
    let bob: WebPage
    let saysWhyAtMs: Promise<number>
    const urlOf = ({ urls }: Day) => urls.at(-1) as string
    const saying = (tab: WebPage, text: RegExp) =>
      tab.page.getByRole('alert').filter({ hasText: text }).waitFor()

    await walkThroughFirstDay(t, checkout, path, {
      'Watch them register': {
        before: async (day) => {
          const open = async (name: string) => {
            const { tab } = await visit(t, await browser(), `${urlOf(day)}/#invite=${inviteIn(day)}`)
            await tab.createAccount(name)
            return tab
          }
          ada = await open('ada')
          bob = await open('bob')
        },
      },
      'Ada has forgotten her password': {
        after: () => saying(ada, /You have been logged out\. .* or the password was changed/),
      },
      'Bob misbehaves': {
        before: async () => {
          saysWhyAtMs = saying(bob, /This account is disabled\. Ask the operator of this server\./).then(() =>
            performance.now(),
          )
        },
        after: async (day) => {
          const lateMs = (await saysWhyAtMs) - (day.endedAtMs.get('npx restante user disable bob') as number)
          assert.ok(lateMs < SAYS_WHY_MS_MAX, `${lateMs} ms`)
        },
      },
      'He is sorry': {
        after: async () => {
          await bob.logIn('bob')
          await bob.startConversation('ada')
          for (const text of ['One', 'Two', 'Three']) await write(text)
        },
      },
      'Life goes on': {
        before: async () => {
          for (const text of ['Four', 'Five']) await write(text)
        },
      },
      'Ada learns of it': {
        after: () => bob.says('Messages may be missing: the server was restored from a backup.').waitFor(),
      },
    })

    async function write(text: string) {
      await bob.send(text)
      await bob.sent(text, 'Sent').waitFor()
    }
  })
})
