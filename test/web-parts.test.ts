/** Parts of web/src/chat that need no browser. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effect } from '@preact/signals'
import { RestanteProblem, type Session } from 'restante-client'
import { Directory } from '../web/src/chat/directory.ts'
import { DisplayNames } from '../web/src/chat/display-names.ts'
import type { LocalStorage } from '../web/src/chat/local-storage.ts'
import { MemoryTables } from '../web/src/chat/memory-tables.ts'
import { nameToShow, receive } from '../web/src/chat/messages.ts'
import { SessionStore } from '../web/src/chat/session-store.ts'
import type { Storage } from '../web/src/chat/storage.ts'
import { problemText } from '../web/src/ui/problem.ts'
import { range } from './support/range.ts'

/** Messages from this many people, one from each. */
async function messagesFrom(senders: string[]) {
  const tables = new MemoryTables()
  const storage = {
    read: (work) => tables.run('readonly', work),
    write: (work) => tables.run('readwrite', work),
  } as Pick<Storage, 'read' | 'write'> as Storage
  const sentAt = new Date().toISOString()
  await storage.write((transaction) =>
    receive(
      transaction,
      senders.map((from, at) => ({ seq: at + 1, id: `id ${at}`, from, body: 'Hello', sentAt })),
    ),
  )
  const directory = new Directory(storage)
  await directory.refresh()
  return { storage, directory }
}

test('a change of one conversation does not touch the lines of the others', async () => {
  const { storage, directory } = await messagesFrom(['bob', 'eve'])
  const before = directory.conversations.value
  await storage.write((transaction) => transaction.putFact('blocks', ['bob']))
  await directory.refresh(['bob'])
  const after = directory.conversations.value
  assert.equal(
    after.find(({ username }) => username === 'eve'),
    before.find(({ username }) => username === 'eve'),
  )
  assert.equal(after.find(({ username }) => username === 'bob')?.blocked, true)
})

test('the names of many new people change the list a few times, not once per name', async () => {
  const senders = range(1, 100).map((number) => `sender-${number}`)
  const { storage, directory } = await messagesFrom(senders)
  let draws = 0
  effect(() => {
    draws += directory.conversations.value.length > 0 ? 1 : 0
  })
  let resolve = () => {}
  const named = new Promise<void>((done) => {
    resolve = done
  })
  const getUser = async (username: string) => ({ username, displayName: `The ${username}` })
  const names = new DisplayNames({
    storage,
    session: () => ({ getUser }) as unknown as Session,
    signal: new AbortController().signal,
    onChanged: async (usernames) => {
      await directory.refresh(usernames)
      if (directory.conversations.value.every(({ displayName }) => displayName.startsWith('The '))) resolve()
    },
  })
  names.learn(senders)
  await named
  assert.ok(draws <= 10, `The list was drawn ${draws} times.`)
})

test('a display name without visible characters is shown as the username', () => {
  const unseen = [
    '',
    '   ',
    '\t\n',
    '\u200b\u2060',
    '\u202e\u2066',
    '\u3164',
    '\u115f',
    '\u2800',
    '\u0301',
    '\u{e0041}',
  ]
  for (const name of unseen) assert.equal(nameToShow(name, 'eve'), 'eve', JSON.stringify(name))
  for (const name of ['Ada', '–', '🕊', 'אדה', '\u200bx']) assert.equal(nameToShow(name, 'eve'), name)
})

test('an unreadable session counts as none, so that the page opens with its login', () => {
  const sessions = new SessionStore({
    get: () => '{"login":"half of',
  } as Partial<LocalStorage> as LocalStorage)
  assert.equal(sessions.current, undefined)
  assert.equal(sessions.endedSession, undefined)
})

test('the end of a session is shown with its reason, if the server gives one', () => {
  const wordsFor = (detail: string) =>
    problemText(new RestanteProblem({ status: 401, code: 'session_ended', detail }))
  const disabled = 'This account is disabled. Ask the operator of this server.'

  assert.equal(wordsFor(disabled), disabled)
  assert.match(wordsFor('This session has ended. Log in again.'), /logged in elsewhere, or the password/)
})
