import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { range } from '../support/client.ts'
import { Answers, type Counts, open, requestText, type Wire, write } from './wire.ts'

/** The resources of an attacker. */
export interface Target extends Wire {
  /** Accounts of the attacker, with a session each. */
  accounts: { username: string; token: string }[]
  /** Further accounts, whose sessions the attack may end. */
  logins: { username: string }[]
  /** The password of all of them. */
  password: string
  /** The attacked name, if there is one. */
  victim: string
  /** The number of connections. */
  connections: number
}

/** Runs until the signal aborts, and does not close its connections. */
type Attack = (target: Target, counts: Counts, stop: AbortSignal) => Promise<unknown>

/** How much one connection of an attacker writes at once without reading. */
const PIPELINED_BYTES = 65_536

/** The pause before a connection that was cut is replaced: a refused client needs a moment, too. */
const AGAIN_MS = 100

const address = (index: number) => `198.51.100.${1 + index}`

/** Runs this many loops side by side. */
const sideBySide = (count: number, loop: (index: number) => Promise<unknown>) =>
  Promise.all(range(0, count - 1).map(loop))

/** Uses a connection until it ends, then another one. */
async function again(
  target: Target,
  counts: Counts,
  stop: AbortSignal,
  use: (socket: Socket) => Promise<unknown>,
): Promise<void> {
  while (!stop.aborted) {
    const socket = await open(target, counts)
    const cut = () => socket?.destroy()
    stop.addEventListener('abort', cut)
    if (socket && !stop.aborted) await use(socket)
    stop.removeEventListener('abort', cut)
    socket?.destroy()
    if (!stop.aborted) await pause(AGAIN_MS)
  }
}

const closed = (socket: Socket) =>
  socket.destroyed ? undefined : new Promise((resolve) => socket.once('close', resolve))

/** Each connection writes as many requests as fit, and reads nothing. */
const pipelineUnread =
  (requestsOf: (target: Target) => string[]): Attack =>
  (target, counts, stop) => {
    const requests = requestsOf(target)
    const times = Math.ceil(PIPELINED_BYTES / Buffer.byteLength(requests.join('')))
    const text = requests.join('').repeat(times)
    return sideBySide(target.connections, () =>
      again(target, counts, stop, async (socket) => {
        socket.pause()
        write(socket, text, requests.length * times, counts)
        await closed(socket)
      }),
    )
  }

/** Each connection sends a request, reads the answer, and sends the next at once, whatever the answer was. */
const askAgain =
  (requestsOf: (target: Target, index: number) => string[], ahead = 1): Attack =>
  (target, counts, stop) =>
    sideBySide(target.connections, (index) => {
      const requests = requestsOf(target, index)
      let turn = index
      return again(target, counts, stop, async (socket) => {
        const answers = new Answers(socket, counts)
        const ask = () => {
          write(socket, requests[turn % requests.length] ?? '', 1, counts)
          turn += 1
          return answers.next()
        }
        const asked = range(1, ahead).map(() => ask())
        while (!stop.aborted && (await asked.shift()) !== 0) asked.push(ask())
      })
    })

/** Each connection writes the start of a request, and then one byte at a time, so that it is never silent. */
const trickle =
  (beginning: string): Attack =>
  (target, counts, stop) =>
    sideBySide(target.connections, () =>
      again(target, counts, stop, async (socket) => {
        write(socket, beginning, 1, counts)
        const timer = setInterval(() => socket.write('a'), 500)
        socket.resume()
        await closed(socket)
        clearInterval(timer)
      }),
    )

const token = ({ accounts }: Target, index = 0) => accounts[index % accounts.length]?.token ?? ''

/** Alternates between two positions, so that no read repeats the one before. */
const pages = (target: Target) =>
  [0, 1].map((after) =>
    requestText(`GET /v1/inbox?after=${after}&wait=0&limit=500`, { token: token(target) }),
  )

const sendTo = (target: Target, index: number, text: string) =>
  requestText('POST /v1/messages', {
    token: token(target, index),
    body: JSON.stringify({ to: target.victim, body: text }),
  })

const login = (username: string, password: string, from: string) =>
  requestText('POST /v1/login', { from, body: JSON.stringify({ username, password }) })

const bundle = 'GET /docs/static/swagger-ui-bundle.js'

export const attacks = {
  documentsUnread: pipelineUnread(() => ['GET /docs', 'GET /docs/json'].map((line) => requestText(line))),
  pagesUnread: pipelineUnread(pages),

  downloadsCut: (target, counts, stop) =>
    sideBySide(target.connections, () =>
      again(target, counts, stop, async (socket) => {
        const read = new Promise((resolve) => socket.once('data', resolve))
        write(socket, requestText(bundle).repeat(20), 20, counts)
        await Promise.race([read, closed(socket)])
      }),
    ),

  pagesRead: askAgain(pages),
  pagesAhead: askAgain(pages, 100),

  inboxFilled: askAgain((target, index) => [sendTo(target, index, '\u{1f4ee}'.repeat(16_384))]),
  inboxCrowded: askAgain((target, index) => [sendTo(target, index, 'x')]),

  /** Three addresses, each with a third of the accounts. */
  rightPasswords: askAgain((target, index) => {
    const mine = target.logins.filter((_, account) => account % 3 === index % 3)
    return mine.map(({ username }) => login(username, target.password, address(index % 3)))
  }),

  /** Every connection from an address of its own. */
  wrongPasswords: askAgain(({ victim }, index) =>
    range(1, 100).map((guess) => login(victim, `guess ${index} ${guess}`, address(index))),
  ),

  slowHeads: trickle('GET /v1/inbox HTTP/1.1\r\nHost: x\r\nX-Slow: '),
  slowBodies: trickle(
    'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n{"a":"',
  ),
  slowReaders: (target, counts, stop) =>
    sideBySide(target.connections, () =>
      again(target, counts, stop, async (socket) => {
        socket.pause()
        write(socket, requestText(bundle), 1, counts)
        await closed(socket)
      }),
    ),

  /** One request each, so that the time limit for a first request does not apply. */
  idle: (target, counts, stop) =>
    sideBySide(target.connections, () =>
      again(target, counts, stop, async (socket) => {
        const answers = new Answers(socket, counts)
        write(socket, requestText('GET /healthz'), 1, counts)
        await answers.next()
        await closed(socket)
      }),
    ),

  readiness: askAgain(() => [requestText('GET /readyz')]),
  forgedTokens: askAgain((target) =>
    // Each has the signature of another text.
    range(1, 50).map((number) =>
      requestText('GET /v1/inbox', {
        token: token(target).replace(/\..*\./, `.${btoa(`{"sub":"u${number}"}`)}.`),
      }),
    ),
  ),
  unknownPaths: askAgain((_, index) =>
    range(1, 50).map((number) => requestText(`GET /v1/${index}/${number}`)),
  ),
  smallCalls: askAgain((target) => [
    requestText(`GET /v1/users/${target.victim}`, { token: token(target) }),
    requestText('POST /v1/token', { token: token(target) }),
    requestText('POST /v1/inbox/ack', { token: token(target), body: '{"cursor":0}' }),
    requestText('GET /v1/messages/01a20779-7500-71c9-b0a4-e83d57f2094b', { token: token(target) }),
  ]),
} satisfies Record<string, Attack>

export type AttackName = keyof typeof attacks
