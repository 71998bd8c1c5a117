import { signal } from '@preact/signals'

/** The current view. It is in the fragment of the URL, so the server is not involved. */
export type Route = { view: 'list' } | { view: 'account' } | { view: 'conversation'; username: string }

const ACCOUNT = '#/account'

/** With `@` for a user whose name is "account". */
export const conversationHash = (username: string) =>
  username === 'account' ? '#/@account' : `#/${username}`

function read(): Route {
  const hash = decode(location.hash)
  if (hash === ACCOUNT) return { view: 'account' }
  const [, username] = /^#\/@?([a-z0-9][a-z0-9._-]{2,31})$/.exec(hash) ?? []
  return username ? { view: 'conversation', username } : { view: 'list' }
}

function decode(hash: string) {
  try {
    return decodeURIComponent(hash).toLowerCase()
  } catch {
    return ''
  }
}

export const route = signal<Route>(read())

const update = () => {
  route.value = read()
}
addEventListener('popstate', update)
addEventListener('hashchange', update)

/** Shows another view, with a history entry. */
export function go(hash: string): void {
  if (hash === location.hash) return
  history.pushState({ ours: true }, '', hash)
  update()
}

/** Goes back in the history if the entry is ours, otherwise to the list. */
export function goBack(): void {
  if ((history.state as { ours?: boolean } | null)?.ours) history.back()
  else replaceRoute('#/')
}

/** Shows another view without a history entry. */
export function replaceRoute(hash: string): void {
  history.replaceState(null, '', hash)
  update()
}

/** The invite code of a link that ends with `#invite=CODE`. */
export const inviteCode = () => /^#invite=(.+)$/.exec(location.hash)?.[1] ?? ''

/** The server's URL for programs, without a trailing `/`. */
export const serverUrl = () => new URL('.', location.href).href.replace(/\/$/, '')
