/** Up to a space, a quote, or a sign that changes the direction of writing. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu
const CLOSES: Record<string, string> = { ')': '(', ']': '[', '}': '{' }

/** A text in pieces: what is between links, and links to http and https. Joined they are the text again. */
export function piecesOf(text: string): (string | { url: string })[] {
  const pieces: (string | { url: string })[] = []
  let done = 0
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const url = withoutPunctuation(found)
    if (!isUrl(url)) continue
    if (index > done) pieces.push(text.slice(done, index))
    pieces.push({ url })
    done = index + url.length
  }
  if (done < text.length) pieces.push(text.slice(done))
  return pieces
}

function isUrl(text: string) {
  try {
    return Boolean(new URL(text))
  } catch {
    return false
  }
}

/** Without the end of the sentence around it, and without a bracket that was opened before it. */
function withoutPunctuation(url: string): string {
  /** By opening bracket: how many more have been opened than closed. */
  const open = new Map<string, number>()
  const count = (bracket: string, change: number) => open.set(bracket, (open.get(bracket) ?? 0) + change)
  for (const sign of url) {
    const opener = CLOSES[sign]
    if (opener) count(opener, -1)
    else if ('([{'.includes(sign)) count(sign, 1)
  }
  let end = url.length
  for (; end > 0; end--) {
    const last = url[end - 1] ?? ''
    const opener = CLOSES[last]
    if (opener && (open.get(opener) ?? 0) < 0) count(opener, 1)
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
