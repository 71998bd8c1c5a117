import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { probeUntilClosed } from './half-closed.ts'
import { PAUSE, type ParsedSocket, type Paused, saveRestBehind } from './node-parser.ts'

const EMPTY_LINE = Buffer.from('\r\n')
const END_OF_HEAD = '\r\n\r\n'
const [CR, LF] = [13, 10]

/** How long a client may go on sending after a refusal; an immediate reset could destroy the refusal. */
const LINGER_MS = 1_000

/** Counts the turns of the event loop in which requests arrive. */
const turns = { now: 0, isCounted: false }

function currentTurn(): number {
  if (!turns.isCounted) {
    turns.isCounted = true
    setImmediate(() => {
      turns.now += 1
      turns.isCounted = false
    })
  }
  return turns.now
}

/**
 * A connection and its unanswered requests. Node parses and dispatches all requests of a chunk of 64 KiB,
 * some 2 400, in one go. Here the parser stops behind the head that makes the unanswered requests too many.
 * From then on it gets one message at a time, each when an answer has been sent; the rest stays in the
 * socket, whose reading is paused. An ordinary client never reaches the limit, and Node parses its bytes as
 * usual.
 *
 * The number of requests begun per turn of the event loop is limited, too: responses that need no wait would
 * otherwise let one connection run on while the others wait.
 */
export class Connection {
  readonly socket: Socket
  readonly #parser: ParsedSocket['parser']
  readonly #unansweredMax: number
  /** Called with false when the first unanswered request has come, with true when the last is answered. */
  onQuiet: ((quiet: boolean) => void) | undefined

  #unanswered = 0
  /** The turn in which a request was last begun, and how many in it; a long one counts as several. */
  #turn = -1
  #begunInTurn = 0
  /** The response to the newest request, which may still be arriving. */
  #newest: ServerResponse | undefined
  /** Gives bytes to the parser. Undefined as long as Node does that. */
  #parse: ((bytes: Buffer) => void) | undefined
  /** Bytes that are missing from a body whose length is known. */
  #bodyLeft = 0
  /** Reading waits for an answer, or for the next turn; Node pauses it for reasons of its own, too. */
  #waits = false
  #refusal: string | undefined
  /** The bytes that the client has taken, when that last changed, or when something was left to take. */
  #taken = { bytes: -1, atMs: 0 }

  /** @param socket prepared by Node's HTTP server */
  constructor(socket: Socket, unansweredMax: number) {
    this.socket = socket
    this.#parser = (socket as ParsedSocket).parser
    this.#unansweredMax = unansweredMax
    // A poll queued behind another one listens to the socket.
    socket.setMaxListeners(socket.getMaxListeners() + unansweredMax)

    const { onIncoming } = this.#parser
    this.#parser.onIncoming = (request, keepAlive) => {
      const { upgrade } = request
      const treatment = onIncoming(request, keepAlive)
      // Node leaves it set when it gives the connection away, as for CONNECT.
      if (upgrade && !request.upgrade && !this.#parse)
        saveRestBehind(this.#parser, request, (rest) => {
          if (!this.#parse) this.#take(rest, this.#takeParser())
        })
      if (this.#parse) this.#bodyLeft = lengthOf(request.headers)
      else if (treatment === 0 && !this.#mayBegin()) return PAUSE
      return treatment
    }
  }

  /** A request has been dispatched. */
  begin(response: ServerResponse) {
    this.#unanswered += 1
    const turn = currentTurn()
    this.#begunInTurn = (this.#turn === turn ? this.#begunInTurn : 0) + weightOf(response.req)
    this.#turn = turn
    this.#newest = response
    response.on('finish', this.#onAnswered)
    if (this.#unanswered === 1) this.onQuiet?.(false)
  }

  readonly #onAnswered = () => {
    this.#unanswered -= 1
    if (this.#unanswered === 0) {
      if (this.#newest?.req.complete) this.#newest = undefined
      this.onQuiet?.(true)
    }
    if (this.#refusal !== undefined) this.#refuseInTurn(this.#refusal)
    else this.#goOn()
  }

  /** Resumes reading when there is no longer a reason to wait. */
  readonly #goOn = () => {
    if (!this.#waits || this.#unanswered >= this.#unansweredMax) return
    if (!this.#mayBegin()) {
      setImmediate(this.#goOn)
      return
    }
    this.#waits = false
    this.socket.resume()
  }

  #mayBegin(): boolean {
    const hasTurn = this.#turn !== currentTurn() || this.#begunInTurn < this.#unansweredMax
    return hasTurn && this.#unanswered < this.#unansweredMax
  }

  #takeParser(): (bytes: Buffer) => void {
    const [parse] = this.socket.listeners('data') as [(bytes: Buffer) => void]
    this.socket.off('data', parse)
    this.#parse = parse
    this.#parser.resume()
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk, parse))
    return parse
  }

  /** Takes the parsing over from Node, which has paused the parser behind the last request head. */
  takeOver({ rawPacket, bytesParsed }: Paused) {
    const parse = this.#takeParser()
    const rest = rawPacket.subarray(bytesParsed)
    const { headers = {} } = this.#newest?.req ?? {}
    this.#bodyLeft = lengthOf(headers)
    const isWhole = this.#bodyLeft === 0 && headers['transfer-encoding'] === undefined
    // The parser says that a message without a body is complete only when it goes on. It skips empty lines
    // before the next one (RFC 9112 §2.2).
    this.#take(isWhole ? Buffer.concat([EMPTY_LINE, rest]) : rest, parse)
  }

  /** Parses as much as may be parsed now, message by message, and puts the rest back. */
  #take(chunk: Buffer, parse: (bytes: Buffer) => void) {
    let at = 0
    while (at < chunk.length && this.#mayParse()) {
      const end = this.#endOfSlice(chunk, at)
      if (this.#bodyLeft > 0) this.#bodyLeft -= end - at
      parse(chunk.subarray(at, end))
      at = end
    }
    if (at === chunk.length || this.#isOver()) return
    if (!this.socket.isPaused()) {
      this.#waits = true
      this.socket.pause()
    }
    this.socket.unshift(chunk.subarray(at))
    // When all are answered, no further answer would resume it.
    if (this.#unanswered < this.#unansweredMax) setImmediate(this.#goOn)
  }

  /** A slice has at most the end of one message, or of one head. */
  #endOfSlice(chunk: Buffer, at: number): number {
    if (this.#bodyLeft > 0) return Math.min(at + this.#bodyLeft, chunk.length)
    // A head may have ended with the last byte of an earlier chunk but one, two or three.
    if (chunk[at] === CR || chunk[at] === LF) return at + 1
    const end = chunk.indexOf(END_OF_HEAD, at)
    return end < 0 ? chunk.length : end + END_OF_HEAD.length
  }

  #mayParse(): boolean {
    if (this.socket.isPaused() || this.#isOver()) return false
    return this.#isArriving() || this.#mayBegin()
  }

  /** Part of the newest request is still to come. */
  #isArriving = () => this.#newest !== undefined && !this.#newest.req.complete

  /** Anything that still arrives on this connection is not a request. */
  #isOver(): boolean {
    const last = this.#newest !== undefined && !this.#newest.shouldKeepAlive && !this.#isArriving()
    return last || this.#refusal !== undefined || !this.socket.writable
  }

  /** Called when the client has closed its writing side. */
  onHalfClosed() {
    const socket = this.socket as ParsedSocket
    // Only between two responses; within one, a probe would be read as content.
    const mayProbe = () => socket._httpMessage?.headersSent === false
    if (this.#newest && this.#unanswered > 0) probeUntilClosed(socket, this.#newest.req.httpVersion, mayProbe)
  }

  /**
   * Ends the connection with a response to an unreadable request, after the responses still due.
   *
   * @param answer a whole HTTP response
   */
  refuse(answer: string) {
    this.#refusal ??= answer
    this.#refuseInTurn(this.#refusal)
  }

  #refuseInTurn(refusal: string) {
    const { socket } = this
    const isAnswered = this.#newest?.headersSent
    if (this.#unanswered > (this.#isArriving() && !isAnswered ? 1 : 0) || !socket.writable) return
    // A request answered before its body arrived needs no second response.
    if (this.#isArriving() && isAnswered) socket.end()
    else socket.end(refusal)
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  /**
   * Cuts the connection when the client does not read what was sent to it.
   *
   * @param nowMs on the monotonic clock
   * @param graceMs for any answer
   * @param bytesPerSecond what it must take after that
   */
  cutIfSlow(nowMs: number, graceMs: number, bytesPerSecond: number) {
    const { writableLength, bytesWritten } = this.socket
    // Node reports only that all of a response was taken, not how much of it.
    const bytes = writableLength === 0 ? -1 : bytesWritten - writableLength
    if (bytes !== this.#taken.bytes) this.#taken = { bytes, atMs: nowMs }
    else if (bytes >= 0 && nowMs - this.#taken.atMs > graceMs + (writableLength / bytesPerSecond) * 1_000)
      this.socket.destroy()
  }
}

/** This much of a body, or of a path with its query, takes about as long to parse as a short request. */
const BODY_BYTES_EACH = 8_192
const PATH_LENGTH_EACH = 512

/** The cost of a chunked body, whose length is unknown. */
const CHUNKED_BYTES = 65_536

/** How many requests a request counts as. */
function weightOf({ headers, url = '' }: IncomingMessage): number {
  const bodyBytes = headers['transfer-encoding'] === undefined ? lengthOf(headers) : CHUNKED_BYTES
  return 1 + Math.floor(bodyBytes / BODY_BYTES_EACH) + Math.floor(url.length / PATH_LENGTH_EACH)
}

const lengthOf = (headers: IncomingHttpHeaders) => Number(headers['content-length'] ?? 0)
