import assert from 'node:assert/strict'
import type { Operation } from '../../src/contract/document.ts'
import { contractWith } from '../support/built.ts'
import { assertInContract } from '../support/contract-check.ts'
import type { Ending } from '../support/endings.ts'
import { exchange } from '../support/http.ts'
import { PUSH } from '../support/push.ts'
import { randomFrom } from '../support/random.ts'
import { startServer } from '../support/servers.ts'
import { People } from './people.ts'
import { type Draft, spoil, validDraft } from './requests.ts'
import { assertConsistent } from './stored.ts'
import { Chance } from './values.ts'

/** Short, so that short texts reach the limit of a message. */
const MESSAGE_LENGTH_MAX = 300

const PEOPLE_MIN = 6

/** FUZZ_SEED repeats a run. */
export const seedOfRun = (otherwise: number): number => Number(process.env['FUZZ_SEED'] ?? otherwise)

/**
 * A request is refused for the length of its headers before its method is known, so the answer has a body.
 */
const HEADERS_LENGTH_MAX = 8_000

/** The results of a run. */
export interface Fuzzed {
  /** In order, such as `sendMessage 201`. */
  answers: string[]
}

/**
 * Sends valid, almost valid and absurd requests one after the other, and checks every answer against the
 * contract. Then checks the store.
 *
 * @param seed the same seed gives the same requests, as long as the server gives the same answers
 */
export async function fuzz(t: Ending, seed: number, count: number): Promise<Fuzzed> {
  const env = {
    ...PUSH,
    PUSH_ALLOW_PRIVATE: 'off',
    MESSAGE_LENGTH_MAX: String(MESSAGE_LENGTH_MAX),
    // Its page is no part of the contract.
    WEB: 'off',
    // So that nothing depends on the duration of a run.
    PRESENCE_GRACE: '0',
    RETENTION: 'never',
    SESSION_POLICY: seed % 2 === 0 ? 'single' : 'multi',
  }
  // No push service can be found.
  const server = await startServer(
    t,
    env,
    undefined,
    {},
    { resolve: () => Promise.reject(new Error('No name server.')) },
  )
  const chance = new Chance(randomFrom(seed))
  const people = new People()
  const { operations } = contractWith(env)
  const answers: string[] = []

  for (let number = 1; number <= count; number += 1) {
    const draft = draftFor(operations, people, chance)
    if (draft.method === 'HEAD' && JSON.stringify(draft.headers).length > HEADERS_LENGTH_MAX)
      draft.headers['x-long'] = 'x'
    const where = () => `FUZZ_SEED=${seed}, request ${number}: ${JSON.stringify(draft)}`
    const { answer, path } = await send(server.url, draft).catch((error) =>
      assert.fail(`${where()} ${error}`),
    )
    answers.push(`${draft.operationId} ${answer.status}`)
    try {
      assert.ok(answer.status < 500, 'It is a fault of the server.')
      if (draft.method === 'HEAD') assert.equal(answer.body, '')
      else assertInContract(draft.method, path, answer)
    } catch (error) {
      assert.fail(`${where()} ${answer.status} ${JSON.stringify(answer.body)} ${error}`)
    }
    if (answer.status >= 300 || draft.method === 'HEAD') continue
    const operation = operations.find((other) => reaches({ ...draft, path }, other))
    if (operation) people.learn(operation.operationId, draft.actor, sentBody(draft, operation), answer.body)
  }

  const health = await exchange(`${server.url}/healthz`, 'GET', {}, undefined, undefined)
  assert.equal(health.status, 200, 'The server lives.')
  await server.stop()
  assert.deepEqual(
    server.logs.filter(({ level, msg }) => level >= LEVEL_WARN && !/^push:/.test(msg)).map(({ msg }) => msg),
    [],
    'The server has nothing to complain of.',
  )
  await assertConsistent(server.database, people.all)
  return { answers }
}

const LEVEL_WARN = 40

/** Chosen less often: these need no parameters, or undo earlier requests. */
const RARE = ['getHealth', 'getReadiness', 'changePassword', 'deleteAccount', 'logout']
const RARE_TIMES = 5

function draftFor(operations: Operation[], people: People, chance: Chance): Draft {
  const wanted = people.all.length < PEOPLE_MIN ? 'register' : undefined
  const needsLogin = people.all.filter(({ token }) => token === undefined).length > people.all.length / 2
  const name = wanted ?? (needsLogin && chance.once(2) ? 'login' : undefined)
  const chosen = operations.filter(
    ({ operationId }) => !RARE.includes(operationId) || chance.once(RARE_TIMES),
  )
  const operation = operations.find(({ operationId }) => operationId === name) ?? chance.of(chosen)
  assert.ok(operation)
  const making = { operation, people, chance }
  const draft = validDraft(making)
  if (!chance.once(2)) spoil(draft, making)
  if (chance.once(4)) spoil(draft, making)
  if (draft.operationId === 'readInbox') doNotWait(draft)
  return draft
}

/** A waiting poll would delay the run. */
function doNotWait(draft: Draft) {
  const seconds = (value: string) => Number(new URLSearchParams(`wait=${value}`).get('wait'))
  draft.query = draft.query.map(([name, value]) =>
    name === 'wait' && seconds(value) > 0 && seconds(value) <= 55 ? [name, '0'] : [name, value],
  )
  const preferred = draft.headers['Prefer'] === 'wait=0'
  if (!preferred && !draft.query.some(([name]) => name === 'wait')) draft.query.push(['wait', '0'])
}

const reaches = ({ method, path }: Draft, operation: Operation) =>
  method === operation.method && new RegExp(`^${operation.path.replace(/\{\w+\}/, '[^/]+')}$`).test(path)

const sentBody = ({ rawBody, body }: Draft, { takesText }: Operation) =>
  rawBody === undefined || takesText ? body : JSON.parse(String(rawBody).trim())

async function send(url: string, { method, path, query, headers, body, rawBody }: Draft) {
  const search = query.map(([name, value]) => `${name}=${value}`).join('&')
  const target = search === '' ? path : `${path}?${search}`
  const content = rawBody ?? (body === undefined ? undefined : JSON.stringify(body))
  const all = { ...(content !== undefined && { 'content-type': 'application/json' }), ...headers }
  const {
    status,
    headers: received,
    text,
  } = await exchange(`${url}${target}`, method, all, content, undefined)
  const json = /json/.test(received.get('content-type') ?? '') && text !== ''
  // The path as sent, because the client resolves dots.
  return {
    path: new URL(`${url}${path}`).pathname,
    answer: { status, headers: received, body: json ? JSON.parse(text) : text },
  }
}
