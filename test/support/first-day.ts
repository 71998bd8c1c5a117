import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { newDatabase, onPostgres } from './databases.ts'
import { atTheEnd } from './endings.ts'
import { freePort } from './postgres.ts'

const MANUAL = new URL('../../docs/operating.md', import.meta.url)

/** The start of a text for the other database. */
const ELSEWHERE = onPostgres ? /^(On SQLite|One node)\b/ : /^(On PostgreSQL|Or two nodes)\b/

/** The addresses of the servers and the database in the manual. */
const [FIRST, SECOND] = ['127.0.0.1:3000', '127.0.0.1:3001']
const DATABASE_SERVER = '127.0.0.1:5432'

/** A start takes a second, and much more on a busy machine. */
const COMMAND_MS_MAX = 120_000

interface Command {
  line: string
  says: string[]
}

/** The actions of the people in a step, by its title: `Invite two people`. */
export type People = Record<
  string,
  { before?: (day: Day) => Promise<unknown>; after?: (day: Day) => unknown }
>

export interface Day {
  /** Of each node. */
  urls: [string, ...string[]]
  /** The output of the shell so far. */
  shown: string[]
  /** When each command ended, in ms of performance.now(). */
  endedAtMs: Map<string, number>
}

/** The steps of the first day, each with its commands for this database and their output. */
function stepsOfTheManual(): [title: string, commands: Command[]][] {
  const [, section = ''] = readFileSync(MANUAL, 'utf8').split('## The first day, step by step\n')
  const [text = ''] = section.split('\n## ')
  return text
    .split(/^\*\*\d+\. /m)
    .slice(1)
    .map((step) => {
      const [title = ''] = step.split(/\.?\*\*/)
      const blocks = [...step.matchAll(/([^\n]*)\n\n```console\n([\s\S]*?)```/g)]
      const ours = blocks.filter(([, before = '']) => !ELSEWHERE.test(before.replace(/^.*\*\* /, '')))
      return [title, ours.flatMap(([, , code = '']) => commandsIn(code))]
    })
}

function commandsIn(code: string): Command[] {
  const commands: Command[] = []
  for (const line of code.split('\n').filter(Boolean))
    if (line.startsWith('$ ')) commands.push({ line: line.slice(2), says: [] })
    else commands.at(-1)?.says.push(line)
  return commands
}

/**
 * Types the commands of docs/operating.md, "The first day", into a shell in that folder, and compares the
 * output of each with the manual.
 *
 * @param path the PATH of the shell, with `npm` and `npx`
 */
export async function walkThroughFirstDay(t: TestContext, folder: string, path: string, people: People) {
  const ports = [await freePort(), await freePort()] as const
  const url = onPostgres ? new URL(await newDatabase(t)) : undefined
  const name = url?.pathname.slice(1)
  const pairs: [string, string][] = [
    [FIRST, `127.0.0.1:${ports[0]}`],
    ['PORT=3001', `PORT=${ports[1]}`],
    [SECOND, `127.0.0.1:${ports[1]}`],
    ...(url
      ? ([
          [`${DATABASE_SERVER}/restante`, `${url.host}${url.pathname}`],
          [`${DATABASE_SERVER}/postgres`, `${url.host}/postgres`],
          ['DATABASE restante', `DATABASE ${name}`],
          ['database "restante"', `database "${name}"`],
        ] as [string, string][])
      : []),
  ]
  const here = (text: string) => pairs.reduce((all, [from, to]) => all.replaceAll(from, to), text)
  const there = (text: string) => pairs.reduce((all, [to, from]) => all.replaceAll(from, to), text)
  const urls = ports.slice(0, onPostgres ? 2 : 1).map((port) => `http://127.0.0.1:${port}`)
  const day: Day = { urls: urls as Day['urls'], shown: [], endedAtMs: new Map() }
  const type = shellIn(t, folder, { PATH: path, PORT: String(ports[0]) })

  const steps = stepsOfTheManual()
  assert.ok(steps.flatMap(([, commands]) => commands).length > 20, 'the manual has its commands')
  for (const title of Object.keys(people))
    assert.ok(
      steps.some(([step]) => step === title),
      title,
    )
  for (const [title, commands] of steps) {
    await people[title]?.before?.(day)
    for (const { line, says } of commands) {
      const said = await type(here(line))
      day.endedAtMs.set(line, performance.now())
      day.shown.push(...said)
      assert.deepEqual(said.map(there).map(masked), says.map(masked), `${title}: ${line}${logsIn(folder)}`)
    }
    await people[title]?.after?.(day)
  }
}

/** The code of the invite in the output. */
export function inviteIn({ shown }: Day): string {
  const [, code] = /#invite=(\S+)/.exec(shown.join('\n')) ?? []
  assert.ok(code, 'a link was shown')
  return code
}

/** Replaces values that differ each time. */
const masked = (line: string) =>
  line
    .replaceAll(/ (-|\d{4}-\d\d-\d\d \d\d:\d\dZ)(?= |\.|$)/g, ' TIME')
    .replaceAll(/#invite=[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/g, '#invite=CODE')
    .replaceAll(/\d{16}/g, 'NUMBER')
    .replaceAll(/\d+ bytes/g, 'SOME bytes')
    .replaceAll(/ +/g, ' ')

const logsIn = (folder: string) =>
  ['restante.log', 'second.log']
    .map((file) => join(folder, file))
    .filter(existsSync)
    .map((file) => `\n${file}:\n${readFileSync(file, 'utf8').slice(-2_000)}`)
    .join('')

/** A shell for typed commands. Their output is complete when the shell reads the next command. */
function shellIn(t: TestContext, cwd: string, env: Record<string, string>) {
  // A process group of its own, so that its background jobs end with it.
  const child = spawn('bash', [], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  const ended = once(child, 'close')
  atTheEnd(t, async () => {
    process.kill(-(child.pid as number), 'SIGKILL')
    await ended
  })
  let lines: string[] = []
  let done = () => {}
  let marker = ''
  createInterface(child.stdout).on('line', (line) => {
    if (line === marker) done()
    else lines.push(line)
  })
  child.stdin.write('exec 2>&1\n')
  let typed = 0
  return async (command: string): Promise<string[]> => {
    lines = []
    typed += 1
    marker = `done ${typed}`
    const read = new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`Not done: ${command}\n${lines.join('\n')}${logsIn(cwd)}`)),
        COMMAND_MS_MAX,
      )
      done = () => {
        clearTimeout(late)
        resolve()
      }
    })
    child.stdin.write(`${command}\necho; echo ${marker}\n`)
    await read
    return lines.filter(Boolean)
  }
}
