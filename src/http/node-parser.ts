import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** `HTTPParser.kOnExecute`, which no module exports. */
const ON_EXECUTE = 5

/** Undocumented members of a socket of Node's HTTP server, the same in Node 20 to 26. */
export interface ParsedSocket extends Socket {
  /** The response that is being written, or the next one. */
  _httpMessage: ServerResponse | null
  parser: {
    /** Called for each request head while parsing; dispatches the request. */
    onIncoming: (request: IncomingMessage & { upgrade: boolean }, keepAlive: boolean) => number
    resume: () => void
    /** Called with the number of parsed bytes of a chunk, or with an error. */
    [ON_EXECUTE]: (parsed: number | Error) => void
    /** Returns the chunk, during that call. */
    getCurrentBuffer: () => Buffer
  }
}

/** The parser's error after a pause within a chunk. */
export interface Paused extends NodeJS.ErrnoException {
  code: 'HPE_PAUSED'
  bytesParsed: number
  rawPacket: Buffer
}

/** llhttp's `HPE_PAUSED`. Returned from `onIncoming`, it stops the parser after that head. */
export const PAUSE = 21

/**
 * Saves the bytes after a request with `Upgrade`. It is answered as HTTP (RFC 9110 §7.8), but the parser
 * stops at its end, and Node would drop the rest of the chunk.
 *
 * @param request its head has just been parsed
 * @param take called with the rest when the request is complete
 */
export function saveRestBehind(
  parser: ParsedSocket['parser'],
  request: IncomingMessage,
  take: (rest: Buffer) => void,
) {
  const onExecute = parser[ON_EXECUTE]
  parser[ON_EXECUTE] = (parsed) => {
    onExecute(parsed)
    if (typeof parsed !== 'number' || !request.complete) return
    parser[ON_EXECUTE] = onExecute
    take(Buffer.from(parser.getCurrentBuffer().subarray(parsed)))
  }
}
