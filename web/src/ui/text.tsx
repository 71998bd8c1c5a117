import type { ComponentChildren } from 'preact'

/** Up to a space, a quote, or a sign that changes the direction of writing. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu
const CLOSES: Record<string, string> = { ')': '(', ']': '[', '}': '{' }

/** Text as it is, with links for http and https. Nothing in it is ever markup. */
export function Text({ children: text }: { children: string }) {
  const parts: ComponentChildren[] = []
  let done = 0
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const url = withoutPunctuation(found)
    if (!isUrl(url)) continue
    parts.push(
      text.slice(done, index),
      <a href={url} target="_blank" rel="noreferrer noopener">
        {url}
      </a>,
    )
    done = index + url.length
  }
  return (
    <>
      {parts}
      {text.slice(done)}
    </>
  )
}

function isUrl(text: string) {
  try {
    return Boolean(new URL(text))
  } catch {
    return false
  }
}

/** Without the end of the sentence around it, and without a bracket that was opened before it. */
export function withoutPunctuation(url: string): string {
  const open = new Map<string, number>()
  for (const sign of url) {
    if ('([{'.includes(sign)) open.set(sign, (open.get(sign) ?? 0) + 1)
    const opener = CLOSES[sign]
    if (opener) open.set(opener, (open.get(opener) ?? 0) - 1)
  }
  let end = url.length
  for (; end > 0; end--) {
    const last = url[end - 1] ?? ''
    const opener = CLOSES[last]
    const excess = opener ? -(open.get(opener) ?? 0) : 0
    if (opener && excess > 0) open.set(opener, 1 - excess)
    else if (!".,;:!?'…*_".includes(last)) break
  }
  return url.slice(0, end)
}

/** How many lines a text takes, when about so many characters fit on one. */
export function linesOf(text: string, columns: number): number {
  let lines = 0
  for (const line of text.split('\n')) lines += Math.max(1, Math.ceil(line.length / columns))
  return lines
}

/** A person's name: it keeps its direction to itself. */
export const Name = ({ children }: { children: string }) => <bdi class="name">{children}</bdi>
