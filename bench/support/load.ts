import { execFileSync, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { NAME_DIGITS, type Person, usernameOf } from './people.ts'
import { sendText } from './requests.ts'

/** Sends as fast as the answers come: many senders, each message to a random one of many recipients. */
export interface Sending {
  url: string
  senders: Person[]
  /** By number: see people.ts. */
  recipients: { first: number; last: number }
  seconds: number
  connections: number
}

export interface Sent {
  accepted: number
  perSecond: number
  p50Ms: number
  p99Ms: number
}

/** What the generators tell of a run. */
export interface Outcome {
  requests: number
  failures: number
  seconds: number
  p50Ms: number
  p99Ms: number
}

const AUTOCANNON_PROCESS = fileURLToPath(new URL('./autocannon-process.ts', import.meta.url))

/** From the system's packages: Debian's `wrk`. */
const WRK = 'wrk'
const wrk = version(WRK)

/**
 * wrk where it is installed, because it takes a fraction of the time of the server that it drives; else
 * autocannon.
 */
export const generator = wrk ?? 'autocannon'

/** @throws Error when a send was refused: then it is not sends that were measured */
export async function sendAll(sending: Sending, folder: string): Promise<Sent> {
  const outcome = wrk ? await runWrk(sending, folder) : await runAutocannon(sending)
  const { requests, failures, seconds, p50Ms, p99Ms } = outcome
  if (failures > 0) throw new Error(`${failures} of ${requests} sends failed.`)
  return { accepted: requests, perSecond: requests / seconds, p50Ms, p99Ms }
}

/** The request up to the number in the recipient's name, and what follows it. */
function aroundNumber(sender: Person): [head: string, tail: string] {
  const name = usernameOf(0)
  const [head = '', tail = ''] = sendText(sender, name).split(`"${name}"`)
  return [`${head}"${name.slice(0, -NAME_DIGITS)}`, `"${tail}`]
}

/**
 * wrk asks a Lua function for every request; strings in Lua need no other escapes than those of JSON here.
 */
function luaScript({ senders, recipients }: Sending): string {
  const texts = senders.map(aroundNumber)
  return `
local heads = {${texts.map(([head]) => JSON.stringify(head)).join(',\n')}}
local tail = ${JSON.stringify(texts[0]?.[1])}
local random, format, turn, count = math.random, string.format, 0, #heads
math.randomseed(${process.hrtime()[1]})
function request()
  turn = turn % count + 1
  return heads[turn] .. format("%0${NAME_DIGITS}d", random(${recipients.first}, ${recipients.last})) .. tail
end
function done(summary, latency)
  local errors = summary.errors
  print(format('{"requests":%d,"failures":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f}',
    summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end`
}

async function runWrk(sending: Sending, folder: string): Promise<Outcome> {
  // Several may run at once, with other senders each.
  const script = join(folder, `send-${randomUUID()}.lua`)
  writeFileSync(script, luaScript(sending))
  const { connections, seconds, url } = sending
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout=10s', '-s', script, url]
  const child = spawn(WRK, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const said = await text(child.stdout)
  const [json] = /^\{.*\}$/m.exec(said) ?? []
  if (!json) throw new Error(`wrk said:\n${said}`)
  return JSON.parse(json) as Outcome
}

async function runAutocannon(sending: Sending): Promise<Outcome> {
  const processes = Math.min(availableParallelism(), sending.connections)
  const share: Sending = { ...sending, connections: Math.ceil(sending.connections / processes) }
  const runs = Array.from({ length: processes }, async () => {
    const child = fork(AUTOCANNON_PROCESS, { execArgv: ['--import', 'tsx'] })
    child.send(share)
    const [outcome] = await once(child, 'message')
    return outcome as Outcome
  })
  const outcomes = await Promise.all(runs)
  const sum = (key: keyof Outcome) => outcomes.reduce((total, outcome) => total + outcome[key], 0)
  const max = (key: keyof Outcome) => Math.max(...outcomes.map((outcome) => outcome[key]))
  return {
    requests: sum('requests'),
    failures: sum('failures'),
    seconds: max('seconds'),
    p50Ms: max('p50Ms'),
    p99Ms: max('p99Ms'),
  }
}

/** The name and version that a program tells, where it is installed. */
function version(program: string): string | undefined {
  try {
    return execFileSync(program, ['-v'], { encoding: 'utf8' })
  } catch (error) {
    // wrk tells its version and leaves with 1.
    const { stdout = '' } = error as { stdout?: string }
    return /^wrk \S+/.exec(stdout)?.[0]
  }
}
