/** sendText: a message in plain text, as a shell script sends it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adaAndBob } from './support/client.ts'
import { assertInContract } from './support/contract-check.ts'
import { exchange } from './support/http.ts'
import { shareServer } from './support/servers.ts'

const server = shareServer()

const bodiesOf = (messages: { body: string }[]) => messages.map(({ body }) => body)

describe('a text sent by sendText', () => {
  it('arrives unchanged, whatever its type', async () => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const path = `/v1/users/${bob.username.toUpperCase()}/messages`
    const texts = {
      'text/plain': 'a newline at the end\n',
      'text/plain; charset=utf-8': '  Grüße, 👩🏽‍🚀\r\n\t',
      'TEXT/PLAIN;Charset="UTF-8"': '\ufeffwith its mark',
      'application/x-www-form-urlencoded': 'a=1&b=%20+%zz',
      'text/plain ; charset=utf8': '{"to": "nobody"}',
      '': 'no type at all',
      ' ': 'an empty type',
    }
    for (const [type, text] of Object.entries(texts)) {
      const headers = { authorization: `Bearer ${ada.token}`, ...(type && { 'content-type': type }) }
      const answer = await exchange(url + path, 'POST', headers, Buffer.from(text), undefined)
      const body = JSON.parse(answer.text)
      assertInContract('POST', path, { ...answer, body })
      assert.deepEqual([answer.status, body.to], [201, bob.username], type)
      assert.equal(answer.headers.get('location'), `/v1/messages/${body.id}`)
    }
    assert.deepEqual(bodiesOf((await bob.poll({ wait: 0 })).body.messages), Object.values(texts))
  })

  it('is refused when it is empty, too long, no UTF-8, or of another type', async () => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const path = `/v1/users/${bob.username}/messages`
    const send = (body: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
      ada.request('POST', path, { body, headers: { 'content-type': 'text/plain', ...headers } })

    assert.equal((await send('x'.repeat(16_384))).status, 201)
    for (const [text, detail] of [
      ['', /./],
      [undefined, /./],
      ['x'.repeat(16_385), /16384/],
      ['a\0b', /U\+0000/],
      [Uint8Array.of(0x61, 0xff), /UTF-8/],
      [Uint8Array.of(0xed, 0xa0, 0x80), /UTF-8/],
    ] as const) {
      const { status, body } = await send(text)
      assert.deepEqual([status, body.code, body.errors[0].pointer], [400, 'invalid_request', ''])
      assert.match(body.detail, detail)
    }
    assert.equal((await send('😀'.repeat(16_385))).body.code, 'body_too_large')
    for (const type of [
      'application/json',
      'multipart/form-data',
      'text/plain; charset=latin1',
      'text/html',
      'utf-8',
    ]) {
      const { status, body } = await send('a', { 'content-type': type })
      assert.deepEqual([status, body.code], [415, 'unsupported_media_type'], type)
      assert.match(body.detail, /text\/plain/, type)
    }
    const json = await ada.request('POST', '/v1/messages', {
      body: 'plain',
      headers: { 'content-type': 'text/plain' },
    })
    assert.equal(json.status, 415, 'Other operations take no text.')
    assert.equal((await ada.request('GET', path)).headers.get('allow'), 'POST')
    assert.equal((await bob.poll({ wait: 0 })).body.messages.length, 1)
  })

  it('is stored once per key, like a message in JSON', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const key = { 'idempotency-key': 'text-1' }

    const { token } = (await ada.createToken()).body
    const first = await client.sendText(ada.token, bob, 'once', key)
    const again = await client.sendText(token, bob, 'once', key)
    const asJson = await ada.send(bob, 'once', 'text-1')
    const other = await client.sendText(ada.token, bob, 'twice', key)

    assert.deepEqual([again.body, asJson.body], [first.body, first.body])
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused'])
    assert.equal((await client.sendText(ada.token, bob, 'x', { 'idempotency-key': '"' })).status, 400)
    const nobody = await ada.request('POST', '/v1/users/nobody/messages', {
      body: 'a',
      headers: { 'content-type': 'text/plain' },
    })
    assert.deepEqual([nobody.status, nobody.body.code], [404, 'recipient_not_found'])
    await bob.block(ada)
    assert.equal((await client.sendText(ada.token, bob, 'blocked')).body.code, 'blocked')
    assert.equal((await client.post(`/v1/users/${bob.username}/messages`)).status, 401)
  })
})
