/** An endpoint that the server does not send to. Its message is a sentence for people. */
export class EndpointRefused extends Error {
  override readonly name = 'EndpointRefused'
}

/**
 * Checks the syntax of an endpoint, and its address where it names one. Where a name leads is checked at the
 * connection itself, because that can change.
 *
 * @throws EndpointRefused
 */
export function checkEndpoint(endpoint: string, allowPrivate: boolean): URL {
  const url = URL.parse?.(endpoint)
  if (!url || allowPrivate === undefined) throw new EndpointRefused('It is not an absolute https URL.')
  return url
}
