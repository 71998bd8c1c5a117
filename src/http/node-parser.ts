import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** `HTTPParser.kOnExecute`, which no module exports. */
const ON_EXECUTE = 5

/** What Node's HTTP server puts on a socket: undocumented, the same in Node 20 to 26. */
export interface ParsedSocket extends Socket {
  /** The response that is being written, or the next one. */
  _httpMessage: ServerResponse | null
  parser: {
    /** Called for each request head while parsing; dispatches the request. */
    onIncoming: (request: IncomingMessage & { upgrade: boolean }, keepAlive: boolean) => number
    resume: () => void
    /** Called with the number of bytes that were parsed of a chunk, or with an error. */
    [ON_EXECUTE]: (parsed: number | Error) => void
    /** The chunk, during that call. */
    getCurrentBuffer: () => Buffer
  }
}

/** The parser's error when it was paused within a chunk. */
export interface Paused extends NodeJS.ErrnoException {
  code: 'HPE_PAUSED'
  bytesParsed: number
  rawPacket: Buffer
}

/** llhttp's `HPE_PAUSED`: returned for a request head, it stops the parser behind that head. */
export const PAUSE = 21

/**
 * Keeps the bytes after a request that asks for another protocol. It is answered as HTTP (RFC 9110 §7.8),
 * but its end stops the parser, and Node drops the rest of the chunk.
 *
 * @param request whose head has just been parsed
 * @param take gets the rest, once the request is complete
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
