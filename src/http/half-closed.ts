import type { Socket } from 'node:net'

/**
 * How long the answers of a half-closed connection may take until the client is probed; twice as long before
 * each further probe.
 */
const PROBE_MS = 250

/** HTTP/1.0 has no interim response, so such a client counts as gone after this time. */
const PROBELESS_MS = 2_000

/** Clients skip it even if they did not ask for it (RFC 9110 §15.2). Fewer know other interim responses. */
const PROBE = 'HTTP/1.1 100 Continue\r\n\r\n'

/**
 * Probes whether a half-closed client is still there. It may have closed only its writing side and wait for
 * responses (RFC 9112 §9.6), or the whole connection. TCP shows the difference by a reset after a write: the
 * first interim response provokes it, the next one meets it, and the socket is destroyed.
 *
 * @param httpVersion of the request
 * @param mayProbe whether the client expects the head of a response next
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
