/** Ends before white space, a quote, or a control character for text direction. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu
const CLOSES: Record<string, string> = { ')': '(', ']': '[', '}': '{' }

/** Splits a text into http and https links and the text between them. Joined, they are the text. */
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

/**
 * Without trailing punctuation of the sentence, and without a closing bracket that was opened before the
 * link.
 */
function withoutPunctuation(url: string): string {
  /** The number of unclosed brackets, by opening bracket. */
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

/** About how many lines a text takes, with this many characters per line. */
export function linesOf(text: string, columns: number): number {
  let lines = 0
  for (const line of text.split('\n')) lines += Math.max(1, Math.ceil(line.length / columns))
  return lines
}
