import type { Socket } from 'node:net'

/** The time before the first probe of a half-closed connection; it doubles with each further probe. */
const PROBE_MS = 250

/** HTTP/1.0 has no interim responses to probe with, so its clients count as gone after this time. */
const PROBELESS_MS = 2_000

/** Clients ignore it even unrequested (RFC 9110 §15.2). Other interim responses are less widely supported. */
const PROBE = 'HTTP/1.1 100 Continue\r\n\r\n'

/**
 * Probes whether a half-closed client is still there. It may have closed only its writing side and wait for
 * responses (RFC 9112 §9.6), or the whole connection, to which TCP answers a write with a reset. The first
 * interim response provokes the reset, and the next one finds it and destroys the socket.
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
