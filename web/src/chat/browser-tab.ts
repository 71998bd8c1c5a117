/** What the chat needs from the tab that it runs in. */
export interface BrowserTab {
  /** The URL of the server, which is the folder of the page. */
  readonly url: string
  /** The path of that folder. Several servers may share an origin, but must not share stored data. */
  readonly folder: string
  hidden(): boolean
  /**
   * `shown`, `hidden`: the visibility has changed. `left`: the page is left, for good or into the
   * back/forward cache. `returned`: it is restored from that cache. `stored`: another tab has changed
   * localStorage.
   *
   * @returns removes the listener
   */
  on(event: BrowserTabEvent, listener: () => void): () => void
}

export type BrowserTabEvent = 'shown' | 'hidden' | 'left' | 'returned' | 'stored'

export function thisTab(): BrowserTab {
  const { href, pathname } = new URL('.', location.href)
  const hidden = () => document.hidden
  return {
    url: href,
    folder: pathname,
    hidden,
    on(event, listener) {
      const stop = new AbortController()
      const { signal } = stop
      if (event === 'stored') addEventListener('storage', listener, { signal })
      else if (event === 'left') addEventListener('pagehide', listener, { signal })
      else if (event === 'returned')
        addEventListener('pageshow', ({ persisted }) => persisted && listener(), { signal })
      else
        document.addEventListener('visibilitychange', () => hidden() === (event === 'hidden') && listener(), {
          signal,
        })
      return () => stop.abort()
    },
  }
}
