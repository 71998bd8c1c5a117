/** What the chat needs of the window around it. */
export interface Surroundings {
  /** Where the server is: the folder of the page. */
  readonly url: string
  /** The path of that folder. Several servers may have one origin, and must not share what is kept. */
  readonly folder: string
  hidden(): boolean
  /**
   * `shown`, `hidden`: the tab. `left`: the page goes, for good or into the back/forward cache. `returned`:
   * it comes back from there. `stored`: another tab has changed localStorage.
   *
   * @returns stops it
   */
  on(event: SurroundingEvent, listener: () => void): () => void
}

export type SurroundingEvent = 'shown' | 'hidden' | 'left' | 'returned' | 'stored'

export function browserSurroundings(): Surroundings {
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
