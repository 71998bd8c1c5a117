import { signal } from '@preact/signals'

/** Which view is shown. The address has it behind the `#`, so it needs nothing of the server. */
export type Route = { view: 'list' } | { view: 'account' } | { view: 'conversation'; username: string }

const ACCOUNT = '#/account'

/** A user may be called "account", too. */
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

/** Shows another view. The browser's "back" returns from it. */
export function go(hash: string): void {
  if (hash === location.hash) return
  history.pushState({ ours: true }, '', hash)
  update()
}

/** As the browser's "back" where the list was before; else to the list. */
export function goBack(): void {
  if ((history.state as { ours?: boolean } | null)?.ours) history.back()
  else replaceRoute('#/')
}

/** Shows another view in place of this one. */
export function replaceRoute(hash: string): void {
  history.replaceState(null, '', hash)
  update()
}

/** The code of an invitation, from a link that ends in `#invite=CODE`. */
export const inviteCode = () => /^#invite=(.+)$/.exec(location.hash)?.[1] ?? ''

/** The server's address as programs need it, without a `/` at its end. */
export const serverUrl = () => new URL('.', location.href).href.replace(/\/$/, '')
