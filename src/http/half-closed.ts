import type { Socket } from 'node:net'

/**
 * How long the answers of a half-closed connection may take until the client is probed; twice as long before
 * each further probe.
 */
const PROBE_MS = 250

/** HTTP/1.0 has no interim response, so such a client counts as gone after this time. */
const PROBELESS_MS = 2_000

/** Clients skip it, asked for or not (RFC 9110 §15.2). Other interim responses are known to fewer. */
const PROBE = 'HTTP/1.1 100 Continue\r\n\r\n'

/**
 * Finds out whether a client that sends nothing more is still there. It may have closed its writing side
 * only, and wait for its answers (RFC 9112 §9.6), or all of its connection. TCP tells the difference when
 * something is written, by a reset: the first interim response brings it about, the next one meets it, and
 * the socket is destroyed.
 *
 * @param httpVersion of the request
 * @param mayProbe whether the next bytes that the client expects are those of an answer's head
 */
export function probeUntilClosed(socket: Socket, httpVersion: string, mayProbe: () => boolean) {
  const isProbeless = httpVersion === '1.0'
  let afterMs = isProbeless ? PROBELESS_MS : PROBE_MS
  const probe = () => {
    if (isProbeless) socket.destroy()
    else if (mayProbe()) socket.write(PROBE)
    afterMs *= 2
    timer = setTimeout(probe, afterMs)
  }
  let timer = setTimeout(probe, afterMs)
  socket.once('close', () => clearTimeout(timer))
}
