import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Refused } from './mistakes.ts'

/** Where somebody answers, and is asked. */
export interface Asking {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  stderr: NodeJS.WritableStream
}

/**
 * A new password: asked for twice at a terminal, which does not show it; elsewhere one line.
 *
 * @param whose completes "Password for …"
 * @throws Refused when there is none, or the two differ
 */
export async function readNewPassword(asking: Asking, whose: string): Promise<string> {
  if (!asking.stdin.isTTY) {
    const line = await readLine(asking.stdin)
    if (line) return line
    throw new Refused('There is no password: give it as one line on standard input.')
  }
  const [first, second] = await ask(asking, [`Password for ${whose}: `, 'The same again: '], false)
  if (!first) throw new Refused('There is no password, so nothing was changed.')
  if (first !== second) throw new Refused('The two passwords differ, so nothing was changed.')
  return first
}

/** An answer that is shown. Elsewhere than at a terminal it is one line, and nothing is asked. */
export async function readAnswer(asking: Asking, question: string): Promise<string> {
  if (!asking.stdin.isTTY) return readLine(asking.stdin)
  const [answer = ''] = await ask(asking, [question], true)
  return answer
}

/** @throws Refused when the terminal is closed, or interrupts */
async function ask({ stdin, stderr }: Asking, questions: string[], shown: boolean): Promise<string[]> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({
    input: stdin,
    output: shown ? stderr : nowhere,
    terminal: true,
    historySize: 0,
  })
  terminal.once('SIGINT', () => terminal.close())
  // It keeps what is typed before it is asked for.
  const lines = terminal[Symbol.asyncIterator]()
  try {
    const answers: string[] = []
    for (const question of questions) {
      if (!shown) stderr.write(question)
      terminal.setPrompt(shown ? question : '')
      terminal.prompt()
      const { done, value } = await lines.next()
      if (!shown || done) stderr.write('\n')
      if (done) throw new Refused('Interrupted, so nothing was changed.')
      answers.push(value)
    }
    return answers
  } finally {
    terminal.close()
  }
}

/** The first line, without its end. Of bytes: a password is what was given, or refused. */
async function readLine(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    if (bytes.includes('\n')) break
  }
  const bytes = Buffer.concat(chunks)
  const end = bytes.indexOf('\n')
  const line = end < 0 ? bytes : bytes.subarray(0, end)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line).replace(/\r$/, '')
  } catch {
    throw new Refused('The line on standard input is not UTF-8.')
  }
}
