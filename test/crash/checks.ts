import assert from 'node:assert/strict'
import { type Person, range, seqsOf } from '../support/client.ts'
import { type People, person, type Reader, type Sent, sendOne } from './load.ts'

/**
 * Acknowledged messages stay acknowledged, others come again, and the tokens from before the crash are valid.
 */
export async function checkCursors(people: People, readers: Reader[]) {
  for (const reader of readers) {
    const { status, body } = await person(people, reader.name).poll({ wait: 0, limit: 1 })
    assert.equal(status, 200, `The token of ${reader.name} holds.`)
    const acknowledged = body.messages.length > 0 ? body.cursor - 1 : body.cursor
    const where = `${reader.name}: ${reader.acknowledged} <= ${acknowledged} <= ${reader.shown}`
    assert.ok(reader.acknowledged <= acknowledged && acknowledged <= reader.shown, where)
    reader.acknowledged = acknowledged
  }
}

/**
 * Checks that every inbox is numbered without a gap, and has each accepted message once and no unsent one.
 *
 * @returns the stored bodies
 */
export async function checkInboxes(
  people: People,
  readers: Reader[],
  everything: Sent[],
): Promise<Set<string>> {
  const sentByBody = new Map(everything.map((sent) => [sent.body, sent]))
  const found = new Set<string>()
  for (const reader of readers) {
    const { name } = reader
    const messages = await readAll(person(people, name), reader)
    assert.deepEqual(seqsOf(messages), range(1, messages.length), `The numbers of ${name}`)
    for (const { id, from, body } of messages) {
      const sent = sentByBody.get(body)
      assert.ok(sent && sent.to === name && sent.from === from, `${body} was sent to ${name}.`)
      assert.ok(!found.has(body), `${body} is there once.`)
      assert.ok(sent.id === undefined || sent.id === id, `${body} has the id that its sender got.`)
      found.add(body)
    }
  }
  for (const { id, body } of everything) assert.ok(id === undefined || found.has(body), `${body} is lost.`)
  return found
}

/** Repeats, with the same key, all sends without an answer, like a client, and some with one. */
export async function checkKeys(people: People, load: Sent[], random: () => number) {
  for (const sent of load) {
    if (sent.key === undefined || (sent.id !== undefined && random() > 0.2)) continue
    const { status, headers, body } = await sendOne(people, sent)
    assert.equal(status, 201)
    if (sent.id !== undefined) {
      assert.equal(body.id, sent.id, `${sent.body} gets its first answer again.`)
      assert.equal(headers.get('idempotent-replayed'), 'true')
    }
    sent.id = body.id
  }
}

/** Reads all messages by pages; each page after the first acknowledges the one before. */
async function readAll(me: Person, reader: Reader) {
  const messages: { seq: number; id: string; from: string; body: string }[] = []
  for (let after = 0, more = true; more; ) {
    reader.shown = Math.max(reader.shown, after)
    const { status, body } = await me.poll({ after, wait: 0, limit: 500 })
    assert.equal(status, 200)
    messages.push(...body.messages)
    after = body.cursor
    more = body.hasMore
  }
  return messages
}
