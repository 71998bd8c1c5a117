import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Client } from './support/client.ts'
import { startServer } from './support/servers.ts'

describe('the inbox', () => {
  it('numbers messages 1, 2, 3 … in commit order, from all senders', async (t) => {
    const client = new Client(await startServer(t))
    const senders = await Promise.all(Array.from({ length: 50 }, (_, i) => client.join(`sender${i}`)))
    await client.register('ada')

    const sent = await Promise.all(
      senders.flatMap((sender) => [sender.send('ada', 'one'), sender.send('ada', 'two')]),
    )

    assert.deepEqual(new Set(sent.map(({ status }) => status)), new Set([201]))
    const { body } = await client.login('ada')
    assert.deepEqual(
      body.offlineMessages.map((message: { seq: number }) => message.seq),
      Array.from({ length: 100 }, (_, i) => i + 1),
    )
  })
})
