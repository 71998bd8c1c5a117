/** The package of client/, installed in a new folder, runs and has types. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client } from '../support/client.ts'
import { scratchFolder } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { startServer } from '../support/servers.ts'

const CLIENT = fileURLToPath(new URL('../../client', import.meta.url))
const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const README = readFileSync(join(CLIENT, 'README.md'), 'utf8')

/** The code of README below a heading. */
function block(heading: string): string {
  const [, section = ''] = README.split(`# ${heading}\n`)
  const [, code] = /```js\n([\s\S]*?)```/.exec(section) ?? []
  assert.ok(code, `There is code below "${heading}".`)
  return code
}

/** Crashes while processing a message. */
const CRASHING = block('A script for Node').replace(
  /\n {2}console\.log\(.*\n/,
  (line) => `{${line} if (message.body === 'crash') process.kill(process.pid, 'SIGKILL') }\n`,
)

const TYPES = `
import { Restante, RestanteProblem, type Message, type StoredSession } from 'restante-client'
let stored: StoredSession | undefined
const store = { load: () => stored, save: (session: StoredSession | undefined) => { stored = session } }
const restante = new Restante('https://chat.example', { store, fetch })
const session = (await restante.resume()) ?? await restante.login({ username: 'ada', password: 'secret' })
const last: Message[] = []
const inbox = session.inbox({ onGap: ({ reason }) => reason.length })
for await (const message of inbox) last[message.seq] = message
const state: string = (await session.getMessageStatus('id')).state
const unread: number = (await session.call('getMe')).inbox.unread
const nothing: undefined = await session.block('bob')
// @ts-expect-error the contract has no such member
await session.updateMe({ age: 7 })
// @ts-expect-error nor such a value
await session.updateMe({ presence: 'some' })
export default [state, unread, nothing, RestanteProblem]
`

const TSCONFIG = {
  compilerOptions: {
    ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
    ...{ target: 'es2022', module: 'nodenext', lib: ['es2022', 'dom'], types: [] },
  },
}

test('the packed library in a new folder', async (t) => {
  const { url } = await startServer(t, { RETENTION: '0', PRESENCE_GRACE: '0s' })
  const folder = scratchFolder(t)
  const run = async (command: string, args: string[], cwd = folder) => {
    await promisify(execFile)(command, args, { cwd }).catch((error) => {
      throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`)
    })
  }
  await run('npm', ['pack', '--pack-destination', folder], CLIENT)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', './restante-client-0.1.0.tgz'])

  const client = new Client({ url })
  const bob = await client.join('bob')
  await client.register('ada')
  const start = (name: string, code: string) => {
    writeFileSync(join(folder, name), code)
    const args = [name, url, 'ada', 'the password of ada']
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    const lines: string[] = []
    createInterface(child.stdout).on('line', (line) => lines.push(line))
    const exited = once(child, 'close').then(([exit, signal]) => exit ?? signal)
    return { child, lines, exited }
  }

  await t.test(
    'gives a message again to a program that crashed while processing it, and no other message',
    async () => {
      for (const text of ['one', 'crash', 'three']) await bob.send('ada', text)
      const crashed = start('crashing.js', CRASHING)
      assert.equal(await crashed.exited, 'SIGKILL')
      assert.deepEqual(crashed.lines, ['1 bob: one', '2 bob: crash'])

      const next = start('script.js', block('A script for Node'))
      await eventually('it has the rest', () => next.lines.length === 2)
      assert.deepEqual(next.lines, ['2 bob: crash', '3 bob: three'])
      await bob.send('ada', 'four')
      await eventually('it receives on', () => next.lines.length === 3)
      next.child.kill('SIGTERM')
      assert.equal(await next.exited, 0, 'It ends by itself: no timer and no connection is left.')
    },
  )

  await t.test('has types for strict programs with and without Node', async () => {
    writeFileSync(join(folder, 'types.ts'), TYPES)
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...TSCONFIG, files: ['types.ts'] }))
    await run(process.execPath, [TSC])
    const { compilerOptions } = TSCONFIG
    const bundled = { ...compilerOptions, module: 'esnext', moduleResolution: 'bundler' }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: bundled, files: ['types.ts'] }),
    )
    await run(process.execPath, [TSC])
  })

  await t.test('compiles the code for pages and for React Native in its README', async () => {
    mkdirSync(join(folder, 'readme'))
    const stubs = `
declare module '@react-native-async-storage/async-storage' {
  const storage: {
    getItem(key: string): Promise<string | null>
    setItem(key: string, value: string): Promise<void>
  }
  export default storage
}
declare module 'react-native' {
  export const AppState: {
    currentState: string
    addEventListener(name: 'change', listener: (state: string) => unknown): { remove(): void }
  }
}`
    writeFileSync(join(folder, 'readme/stubs.d.ts'), stubs)
    for (const heading of ['A web page', 'React Native']) {
      const typed = block(heading)
        .replace(
          '(session, show, signal)',
          "(session: import('restante-client').Session, show: (message: import('restante-client').Message) => unknown, signal: AbortSignal)",
        )
        .replace('save: (session)', "save: (session: import('restante-client').StoredSession | undefined)")
      writeFileSync(join(folder, 'readme', `${heading.replaceAll(' ', '-')}.ts`), typed)
    }
    const { compilerOptions } = TSCONFIG
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['readme'] }))
    await run(process.execPath, [TSC])
  })
})
