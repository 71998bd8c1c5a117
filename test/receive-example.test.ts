/** examples/receive.sh, of which docs/clients.md shows a part, in each shell of this machine. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client, newName, passwordOf } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { startLossyProxy } from './support/lossy-proxy.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { shareServer, startServer } from './support/servers.ts'
import { isInstalled, pathWithCurl } from './support/stand-ins/stand-ins.ts'

const SCRIPT = fileURLToPath(new URL('../examples/receive.sh', import.meta.url))

describe('examples/receive.sh', { concurrency: 3, timeout: 300_000 }, () => {
  const server = shareServer()

  // The other tests are in sh.
  for (const shell of ['dash', 'bash', 'zsh', 'busybox'])
    it(`prints messages and receipts, passes no terminal commands, and ends with the session: ${shell}`, async (t) => {
      if (!isInstalled(shell)) {
        t.diagnostic(`Not tried: this machine has no ${shell}.`)
        return
      }
      await receiveUntilLogout(t, (await server()).url, shell === 'busybox' ? ['busybox', 'sh'] : [shell])
    })

  it('prints each message once, although its poll breaks, and the server is restarted and unreachable meanwhile', async (t) => {
    const before = await startServer(t)
    const client = new Client(before)
    const bob = await client.join('bob')
    await client.register('ada')
    const proxy = await startLossyProxy(t, before.url)
    const receiver = startReceiver(t, proxy.url, 'ada')
    await eventually('it waits', async () => (await bob.user('ada')).body.online)
    const { body: first } = await bob.send('ada', 'before')
    await receiver.shown('bob: before')
    await eventually('it polls again', async () => (await bob.status(first.id)).body.state === 'delivered')

    // As if it was killed.
    proxy.losses.push({ request: /inbox/, loss: 'connection' })
    await before.stop()
    await eventually('its poll breaks', () => proxy.losses.length === 0)
    const asked = proxy.requests.length
    await eventually('it is asked again in vain', () => proxy.requests.length > asked)
    const after = await startServer(t, {}, before.database)
    proxy.to = after.url
    const again = await new Client(after).enter('bob')
    const { body: last } = await again.send('ada', 'after')
    await receiver.shown('bob: after')
    await eventually(
      'it is acknowledged',
      async () => (await again.status(last.id)).body.state === 'delivered',
    )

    receiver.interrupt()
    assert.equal(await receiver.exited, 130)
    assert.deepEqual(receiver.lines(), ['bob: before', 'bob: after'])
    assert.deepEqual((await new Client(after).login('ada')).body.offlineMessages, [], 'It has acknowledged.')
  })

  it('says why it cannot start', async (t) => {
    const { url } = await server()
    const wrong = startReceiver(t, url, newName('nobody'))
    assert.equal(await wrong.exited, 1)
    assert.match(wrong.remarks(), /password is wrong/)

    const unreachable = startReceiver(t, 'http://127.0.0.1:1', 'ada')
    assert.equal(await unreachable.exited, 1)
    assert.match(unreachable.remarks(), /No answer from http:\/\/127\.0\.0\.1:1/)
  })
})

async function receiveUntilLogout(t: TestContext, url: string, shell: string[]) {
  const client = new Client({ url })
  const [ada, bob] = [newName('ada'), await client.join(newName('bob'))]
  const before = await client.join(ada)
  await sendWithReceipt(before, bob, 'hi')
  await bob.acknowledge(1)
  const { body: first } = await bob.send(
    ada,
    'red \u001b[31m, bell \u0007, C1 \u009b1m, over\rwritten, two\nlines',
  )
  // People often add a slash to an address.
  const receiver = startReceiver(t, `${url}/`, ada, shell)
  await receiver.shown(`* ${bob.username} has received 1 of your messages`)
  await receiver.shown(`${bob.username}: red  [31m, bell  , C1  1m, over written, two lines`)
  await eventually('it is acknowledged', async () => (await bob.status(first.id)).body.state === 'delivered')
  await bob.send(ada, 'She said "hi", it\'s $HOME, `date`, %s and \\n 👩🏽‍🚀')
  await receiver.shown(`${bob.username}: She said "hi", it's $HOME, \`date\`, %s and \\n 👩🏽‍🚀`)

  const { body } = await client.login(ada, { takeover: true })

  assert.equal(await receiver.exited, 1)
  assert.match(receiver.remarks(), /session has ended/i)
  assert.equal((await client.request('POST', '/v1/logout', { token: body.token })).status, 204)
}

/** Starts the script in a process group of its own, like a terminal. */
function startReceiver(t: TestContext, url: string, me: string, shell = ['sh']) {
  const [command = '', ...args] = [...shell, SCRIPT, me]
  const env = { PATH: pathWithCurl(t), RESTANTE_URL: url, RESTANTE_PASSWORD: passwordOf(me) }
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'close').then(([code]) => code as number)
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode === null) process.kill(-(child.pid as number), name)
  }
  t.after(async () => {
    signal('SIGKILL')
    await exited
  })
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  let remarks = ''
  child.stderr.on('data', (chunk: Buffer) => {
    remarks += chunk.toString()
  })
  return {
    lines: () => lines,
    remarks: () => remarks,
    exited,
    interrupt: () => signal('SIGINT'),
    shown: (line: string) => eventually(`it shows ${line}: ${remarks}`, () => lines.includes(line), 60_000),
  }
}
