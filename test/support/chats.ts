import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { passwordOf } from './client.ts'
import { pathWithCurl } from './stand-ins/stand-ins.ts'

const SCRIPT = fileURLToPath(new URL('../../examples/chat.sh', import.meta.url))

/** The time-out of waits; a chat starts dozens of processes before its first output. */
const PATIENCE_MS = 120_000

interface ChatOptions {
  takeover?: boolean
  /** Without it, no account is created. */
  register?: boolean
  password?: string
}

/** A run of examples/chat.sh, with pipes instead of a terminal. */
export interface Chat {
  /** Types a message; one with several lines in the form that the script expects. */
  type: (message: string) => void
  /** Resolves when this text has been shown. */
  shown: (text: string) => Promise<void>
  /** Everything shown, without the times. Complete when the chat has ended. */
  messages: () => string[]
  /** The script's own messages. */
  remarks: () => string
  /** Resolves with the exit code. */
  exited: Promise<number>
  /** Types Ctrl-D; resolves with the exit code. */
  end: () => Promise<number>
}

/** Starts a chat; resolves when it has logged in, or has ended because it could not. */
export async function startChat(
  t: TestContext,
  url: string,
  me: string,
  friend: string,
  { takeover = false, register = true, password = passwordOf(me) }: ChatOptions = {},
): Promise<Chat> {
  const child = spawn(
    SCRIPT,
    [...(register ? ['--register'] : []), ...(takeover ? ['--takeover'] : []), me, friend],
    {
      env: {
        PATH: pathWithCurl(t),
        RESTANTE_URL: url,
        RESTANTE_PASSWORD: password,
      },
    },
  )
  const exited = once(child, 'close').then(([code]) => code as number)
  t.after(async () => {
    child.kill()
    await exited
  })

  const [shown, remarks] = [new Transcript(child.stdout), new Transcript(child.stderr)]
  const failed = exited.then(() => {})
  await Promise.race([remarks.has('Ctrl-D ends the chat'), failed])
  return {
    type: (message) => child.stdin.write(`${message.replaceAll('\n', '\\\n')}\n`),
    shown: (text) => shown.has(text),
    messages: () =>
      shown.text
        .split(/^\d{4}-\d\d-\d\d \d\d:\d\dZ /m)
        .slice(1)
        .map((message) => message.replace(/\n$/, '')),
    remarks: () => remarks.text,
    exited,
    end: () => {
      child.stdin.end()
      return exited
    },
  }
}

/** The output of a process as it arrives. */
class Transcript {
  text = ''
  readonly #stream: NonNullable<ChildProcess['stdout']>

  constructor(stream: NonNullable<ChildProcess['stdout']>) {
    this.#stream = stream
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
    })
  }

  /** Resolves when this text has been written; never if the stream ends without it. */
  async has(text: string): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    try {
      while (!this.text.includes(text)) await once(this.#stream, 'data', { signal })
    } catch (error) {
      throw new Error(`${JSON.stringify(text)} is not in ${JSON.stringify(this.text)}`, { cause: error })
    }
  }
}
