/** A disk that is nearly full stops only sends, so that other operations can free space. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskSpace } from '../src/limits/disk-space.ts'
import { adaAndBob, Client, passwordOf, seqsOf } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

/** More than any disk has free. */
const MORE_THAN_THERE_IS = '8000TiB'

test('below DISK_FREE_MIN sends are refused from the start on, and everything else continues', async (t) => {
  const full = await startServer(t, { JWT_SECRET: 'the secret of both servers of this test', RETENTION: '0' })
  const { ada, bob } = await adaAndBob(full)
  await bob.sendMany(ada, 2)
  await full.stop()
  const env = { DISK_FREE_MIN: MORE_THAN_THERE_IS, RETENTION: '0' }
  const server = await startServer(
    t,
    { JWT_SECRET: 'the secret of both servers of this test', ...env },
    full.database,
  )
  const client = new Client(server)

  const sent = await client.request('POST', '/v1/messages', {
    token: bob.token,
    body: { to: ada.username, body: 'no room' },
  })

  assert.deepEqual([sent.status, sent.body.code], [503, 'overloaded'])
  assert.ok(Number(sent.headers.get('retry-after')) > 0)
  const again = await client.enter(ada.username)
  assert.deepEqual(seqsOf((await again.poll({ after: 0, wait: 0 })).body.messages), [1, 2])
  assert.equal((await again.acknowledge(2)).status, 204)
  await eventually('the messages are purged', () =>
    withSql(server.database, async ({ run }) => (await run('SELECT seq FROM message')).length === 0),
  )
  assert.equal((await client.register('carol')).status, 201)
  assert.equal((await client.login('carol', { password: passwordOf('carol') })).status, 200)
  assert.equal(
    (await again.request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })).status,
    204,
  )
  assert.deepEqual(
    server.logs.filter(({ msg }) => msg.startsWith('The disk')).map(({ msg }) => msg),
    ['The disk is short of space: messages are refused.'],
  )
})

test('DISK_FREE_MIN=0 switches it off', async (t) => {
  const { ada, bob } = await adaAndBob(await startServer(t, { DISK_FREE_MIN: '0' }))

  assert.equal((await ada.send(bob, 'text')).status, 201)
})

test('one line is logged when space runs short, one when there is space again, and one while it cannot be read', async () => {
  const lines: string[] = []
  const log = {
    warn: (_: object, message: string) => lines.push(message),
    info: (message: string) => lines.push(message),
  }
  let free: number | undefined
  const disk = new DiskSpace(
    100,
    async () => {
      if (free === undefined) throw new Error('no such disk')
      return free
    },
    log,
  )
  const refusesAt = async (bytes: number | undefined) => {
    free = bytes
    await disk.refresh()
    try {
      disk.refuseWhenShort()
      return false
    } catch {
      return true
    }
  }

  assert.equal(await refusesAt(100), false)
  assert.equal(await refusesAt(99), true)
  assert.equal(await refusesAt(50), true)
  assert.equal(await refusesAt(undefined), true)
  assert.equal(await refusesAt(undefined), true)
  assert.equal(await refusesAt(100), false)
  assert.equal(await refusesAt(200), false)
  assert.equal(await refusesAt(0), true)
  assert.deepEqual(lines, [
    'The disk is short of space: messages are refused.',
    'The free space of the disk cannot be read.',
    'The disk has space again: messages are accepted.',
    'The disk is short of space: messages are refused.',
  ])
})
