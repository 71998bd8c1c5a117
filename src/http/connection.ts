import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Holder } from './connection-shares.ts'
import { probeUntilClosed } from './half-closed.ts'
import { PAUSE, type ParsedSocket, type Paused, saveRestBehind } from './node-parser.ts'
import { newSource, type RequestTurns, type Source } from './request-turns.ts'
import { lengthOf } from './request-weight.ts'

const EMPTY_LINE = Buffer.from('\r\n')
const END_OF_HEAD = '\r\n\r\n'
const [CR, LF] = [13, 10]

/** How long a client may keep sending after a refusal. An immediate reset could destroy the refusal. */
const LINGER_MS = 1_000

/** Called with false when the first unanswered request arrives, with true when the last one is answered. */
export type OnQuiet = (connection: Connection, quiet: boolean) => void

/**
 * Limits the unanswered requests of a connection. Node parses and dispatches all requests of a 64 KiB chunk,
 * about 2 400, at once. Here the parser stops after the head of the request that reaches the limit, or of a
 * second unanswered request whose source must wait. From then on the parser gets message by message, as
 * responses are sent and turns come, while the rest stays in the paused socket. If too many connections wait
 * for their turn, it is closed. An ordinary client never gets there: Node parses its bytes as usual.
 */
export class Connection {
  readonly socket: Socket
  readonly #parser: ParsedSocket['parser']
  readonly #unansweredMax: number
  readonly #turns: RequestTurns
  readonly #onQuiet: OnQuiet
  /** Whose share it takes: see ConnectionShares. */
  holder: Holder | undefined = undefined
  readonly #own = newSource()

  #unanswered = 0
  /** The response to the newest request, which may still be arriving. */
  #newest: ServerResponse | undefined
  /** Passes bytes to the parser. Undefined as long as Node does so. */
  #parse: ((bytes: Buffer) => void) | undefined
  /** How many bytes of a body of known length are still to come. */
  #bodyLeft = 0
  /** Whether we paused reading, until a response or its turn. Node also pauses it for its own reasons. */
  #waits = false
  /** Whether it will be called when it is its turn. */
  #isInLine = false
  /** Whether it was called, and may read a request. */
  #isCalled = false
  #refusal: string | undefined
  /** How many bytes the client has taken, and when that last changed or there was nothing to take. */
  #takenBytes = -1
  #takenAtMs = 0

  /** @param socket prepared by Node's HTTP server */
  constructor(socket: Socket, unansweredMax: number, turns: RequestTurns, onQuiet: OnQuiet) {
    this.socket = socket
    this.#turns = turns
    this.#onQuiet = onQuiet
    this.#parser = (socket as ParsedSocket).parser
    this.#unansweredMax = unansweredMax
    // A poll queued behind another one listens to the socket.
    socket.setMaxListeners(socket.getMaxListeners() + unansweredMax)

    const { onIncoming } = this.#parser
    this.#parser.onIncoming = (request, keepAlive) => {
      const { upgrade } = request
      const treatment = onIncoming(request, keepAlive)
      // Node keeps `upgrade` set when it hands over the connection, as for CONNECT.
      if (upgrade && !request.upgrade && !this.#parse)
        saveRestBehind(this.#parser, request, (rest) => {
          if (!this.#parse) this.#take(rest, this.#takeParser())
        })
      if (this.#parse) this.#bodyLeft = lengthOf(request.headers)
      // With an upgrade, the parser stops by itself.
      else if (treatment === 0 && !upgrade && this.#mustStop()) return PAUSE
      return treatment
    }
  }

  /** Takes a request that was parsed, and has it handled in its turn. */
  begin(request: IncomingMessage, response: ServerResponse) {
    this.#unanswered += 1
    this.#newest = response
    // Not at its 'finish', to which Node and Fastify listen: a third listener makes room for 19.
    response.on('close', this.#onAnswered)
    if (this.#unanswered === 1) this.#onQuiet(this, false)
    this.#turns.take(this.#source, request, response, this.#isCalled)
    this.#isCalled = false
  }

  /** A connection of a proxy has turns of its own. */
  get #source(): Source {
    return this.holder ?? this.#own
  }

  readonly #onAnswered = () => {
    this.#unanswered -= 1
    if (this.#unanswered === 0) {
      if (this.#newest?.req.complete) this.#newest = undefined
      this.#onQuiet(this, true)
    }
    if (this.#refusal !== undefined) this.#refuseInTurn(this.#refusal)
    else this.#goOn()
  }

  /** Resumes reading as soon as nothing has to be waited for. */
  #goOn() {
    if (!this.#waits || this.#isInLine || this.#unanswered >= this.#unansweredMax) return
    if (this.#mayBegin()) {
      this.#waits = false
      this.socket.resume()
    } else if (this.#unanswered > 0 && this.#turns.isFull(this.#source)) this.socket.destroy()
    else {
      this.#isInLine = true
      this.#turns.call(this.#source, this.#onCalled)
    }
  }

  readonly #onCalled = () => {
    this.#isInLine = false
    this.#isCalled = true
    this.#goOn()
  }

  #mayBegin(): boolean {
    return this.#unanswered < this.#unansweredMax && (this.#isCalled || this.#turns.isFree(this.#source))
  }

  /** Whether Node must not parse what follows. */
  #mustStop(): boolean {
    const isAhead = this.#unanswered > 1 && !this.#turns.isFree(this.#source)
    return isAhead || this.#unanswered >= this.#unansweredMax
  }

  #takeParser(): (bytes: Buffer) => void {
    const [parse] = this.socket.listeners('data') as [(bytes: Buffer) => void]
    this.socket.off('data', parse)
    this.#parse = parse
    this.#parser.resume()
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk, parse))
    // If Node had stopped reading, for a body that is not read yet, it no longer starts it again.
    this.socket._read(0)
    return parse
  }

  /** Takes over parsing from Node, whose parser has stopped after the last request head. */
  takeOver({ rawPacket, bytesParsed }: Paused) {
    const parse = this.#takeParser()
    const rest = rawPacket.subarray(bytesParsed)
    const { headers = {} } = this.#newest?.req ?? {}
    this.#bodyLeft = lengthOf(headers)
    const isWhole = this.#bodyLeft === 0 && headers['transfer-encoding'] === undefined
    // The parser reports a message without a body as complete only on further bytes. It skips empty lines
    // before the next message (RFC 9112 §2.2).
    this.#take(isWhole ? Buffer.concat([EMPTY_LINE, rest]) : rest, parse)
  }

  /** Parses message by message as far as allowed, and puts the rest back into the socket. */
  #take(chunk: Buffer, parse: (bytes: Buffer) => void) {
    let at = 0
    while (at < chunk.length && this.#mayParse()) {
      const end = this.#endOfSlice(chunk, at)
      if (this.#bodyLeft > 0) this.#bodyLeft -= end - at
      parse(chunk.subarray(at, end))
      at = end
    }
    // A call does not outlast the bytes that were there.
    this.#isCalled = false
    if (at === chunk.length || this.#isOver()) return
    if (!this.socket.isPaused()) {
      this.#waits = true
      this.socket.pause()
    }
    this.socket.unshift(chunk.subarray(at))
    this.#goOn()
  }

  /** A slice contains the end of at most one message or head. */
  #endOfSlice(chunk: Buffer, at: number): number {
    if (this.#bodyLeft > 0) return Math.min(at + this.#bodyLeft, chunk.length)
    // The end of a head may be split between chunks.
    if (chunk[at] === CR || chunk[at] === LF) return at + 1
    const end = chunk.indexOf(END_OF_HEAD, at)
    return end < 0 ? chunk.length : end + END_OF_HEAD.length
  }

  #mayParse(): boolean {
    if (this.socket.isPaused() || this.#isOver()) return false
    return this.#isArriving() || this.#mayBegin()
  }

  /** Whether part of the newest request is still to come. */
  #isArriving(): boolean {
    return this.#newest !== undefined && !this.#newest.req.complete
  }

  /** Whether no further request can come on this connection. */
  #isOver(): boolean {
    const last = this.#newest !== undefined && !this.#newest.shouldKeepAlive && !this.#isArriving()
    return last || this.#refusal !== undefined || !this.socket.writable
  }

  /** Called when the client has closed its writing side. */
  onHalfClosed() {
    const socket = this.socket as ParsedSocket
    // Only between responses: within one, a probe would be read as content.
    const mayProbe = () => socket._httpMessage?.headersSent === false
    if (this.#newest && this.#unanswered > 0) probeUntilClosed(socket, this.#newest.req.httpVersion, mayProbe)
  }

  /**
   * Answers an unreadable request after the pending responses, and ends the connection.
   *
   * @param answer a complete HTTP response
   */
  refuse(answer: string) {
    this.#refusal ??= answer
    this.#refuseInTurn(this.#refusal)
  }

  #refuseInTurn(refusal: string) {
    const { socket } = this
    const isAnswered = this.#newest?.headersSent
    if (this.#unanswered > (this.#isArriving() && !isAnswered ? 1 : 0) || !socket.writable) return
    // A request that was answered before its body arrived gets no second response.
    if (this.#isArriving() && isAnswered) socket.end()
    else socket.end(refusal)
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  /**
   * Closes the connection if the client reads its responses too slowly.
   *
   * @param nowMs on the monotonic clock
   * @param graceMs allowed for any response
   * @param bytesPerSecond the minimum rate for the rest
   */
  cutIfSlow(nowMs: number, graceMs: number, bytesPerSecond: number) {
    const { writableLength, bytesWritten } = this.socket
    // Node reports only the end of a write, so progress shows in the remaining length.
    const bytes = writableLength === 0 ? -1 : bytesWritten - writableLength
    if (bytes !== this.#takenBytes) {
      this.#takenBytes = bytes
      this.#takenAtMs = nowMs
    } else if (bytes >= 0 && nowMs - this.#takenAtMs > graceMs + (writableLength / bytesPerSecond) * 1_000)
      this.socket.destroy()
  }
}
