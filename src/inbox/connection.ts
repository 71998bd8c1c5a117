/** The client's connection: whether and when it closed. A socket is one. */
export interface ClientConnection {
  readonly destroyed: boolean
  on: (event: 'close', listener: () => void) => unknown
  off: (event: 'close', listener: () => void) => unknown
}

/** The HTTP response that carries an answer. A `ServerResponse` is one. */
export interface Response extends ClientConnection {
  /** Null while earlier responses of its connection are due: HTTP/1.1 answers in order. */
  readonly socket: object | null
  once: (event: 'socket' | 'close', listener: () => void) => unknown
  off: (event: 'socket' | 'close', listener: () => void) => unknown
  /** Cuts the connection. */
  destroy: () => unknown
}

/**
 * Waits until the response is next on its connection: no earlier one is due.
 *
 * @param connection ends when the client goes away, also before the response has its socket
 * @returns false when the client has gone away
 */
export function waitUntilNext(response: Response, connection: ClientConnection): Promise<boolean> {
  return new Promise((resolve) => {
    if (connection.destroyed) return resolve(false)
    if (response.socket) return resolve(true)
    const onSocket = () => {
      connection.off('close', onClose)
      resolve(true)
    }
    const onClose = () => {
      connection.off('close', onClose)
      response.off('socket', onSocket)
      resolve(false)
    }
    response.once('socket', onSocket)
    connection.on('close', onClose)
  })
}
