import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Refused } from './errors.ts'

/** Questions go to stderr, answers come from stdin. */
export interface PromptStreams {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  stderr: NodeJS.WritableStream
}

/**
 * Reads a new password: typed twice without echo at a terminal, otherwise one line of stdin.
 *
 * @param whose completes "Password for …"
 * @throws Refused when it is empty, or the two differ
 */
export async function readNewPassword(streams: PromptStreams, whose: string): Promise<string> {
  if (!streams.stdin.isTTY) {
    const line = await readLine(streams.stdin)
    if (line) return line
    throw new Refused('The password is missing: pass it as one line on standard input.')
  }
  const [first, second] = await prompt(streams, [`Password for ${whose}: `, 'Repeat the password: '], false)
  if (!first) throw new Refused('The password is empty. Nothing was changed.')
  if (first !== second) throw new Refused('The passwords differ. Nothing was changed.')
  return first
}

/** Reads an answer, with echo. Without a terminal it reads one line and prints no question. */
export async function readAnswer(streams: PromptStreams, question: string): Promise<string> {
  if (!streams.stdin.isTTY) return readLine(streams.stdin)
  const [answer = ''] = await prompt(streams, [question], true)
  return answer
}

/** @throws Refused when the terminal is closed or interrupted */
async function prompt(
  { stdin, stderr }: PromptStreams,
  questions: string[],
  echo: boolean,
): Promise<string[]> {
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({
    input: stdin,
    output: echo ? stderr : discard,
    terminal: true,
    historySize: 0,
  })
  let isOpen = true
  terminal.once('SIGINT', () => terminal.close())
  terminal.once('close', () => {
    isOpen = false
  })
  // The iterator buffers lines typed before the prompt.
  const lines = terminal[Symbol.asyncIterator]()
  try {
    const answers: string[] = []
    for (const question of questions) {
      if (!echo) stderr.write(question)
      terminal.setPrompt(echo ? question : '')
      // The terminal may have closed after lines typed ahead. From Node 24 on, a prompt then throws.
      if (isOpen) terminal.prompt()
      const { done, value } = await lines.next()
      if (!echo || done) stderr.write('\n')
      if (done) throw new Refused('Interrupted. Nothing was changed.')
      answers.push(value)
    }
    return answers
  } finally {
    terminal.close()
  }
}

/** The first line, without its line end. Decodes strictly, so a password is never altered. */
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
