import { signal } from '@preact/signals'

/** So near to the bottom counts as there. */
const BOTTOM_PX = 24

/**
 * Keeps what is read in place while rows come, grow, or are added in front. It is either stuck to the bottom,
 * or anchored to a row and the distance of its edge from the bottom of the view. Rows that have never been
 * drawn (`content-visibility`) change their height when they come near, so the place is restored whenever
 * a size changes, and not once. Only the user's scrolling moves the anchor.
 */
export class ScrollAnchor {
  readonly stuck = signal(true)
  readonly #scroller: HTMLElement
  readonly #content: HTMLElement
  readonly #onMove: () => void
  readonly #observer = new ResizeObserver(() => this.restore())
  #anchor: { row: Element; edge: 'top' | 'bottom'; distance: number } | undefined
  /** How the scroller was after `restore`. */
  #restored = { scrollTop: 0, scrollHeight: 0, clientHeight: 0 }

  /**
   * @param content has the rows as its children
   * @param onMove called after each move, by the user or not
   */
  constructor(scroller: HTMLElement, content: HTMLElement, onMove: () => void) {
    this.#scroller = scroller
    this.#content = content
    this.#onMove = onMove
    scroller.addEventListener('scroll', this.#onScroll, { passive: true })
    this.#observer.observe(scroller)
    this.#observer.observe(content)
  }

  dispose(): void {
    this.#scroller.removeEventListener('scroll', this.#onScroll)
    this.#observer.disconnect()
  }

  /** Call it after each change of the rows. */
  restore(): void {
    const scroller = this.#scroller
    const anchor = this.#anchor
    if (this.stuck.peek()) scroller.scrollTop = scroller.scrollHeight
    else if (anchor?.row.isConnected) scroller.scrollTop += this.#distance(anchor) - anchor.distance
    const { scrollTop, scrollHeight, clientHeight } = scroller
    this.#restored = { scrollTop, scrollHeight, clientHeight }
    this.#onMove()
  }

  toBottom(): void {
    this.stuck.value = true
    this.#anchor = undefined
    this.restore()
  }

  /** Keeps the upper edge of a row where it is, while the row grows. */
  hold(row: Element): void {
    this.stuck.value = false
    this.#setAnchor(row, 'top')
  }

  /** Scrolls a row to the upper part of the view; what is behind it may all fit into the rest. */
  show(row: Element): void {
    const { top, height } = this.#scroller.getBoundingClientRect()
    this.#scroller.scrollTop += row.getBoundingClientRect().top - top - height / 5
    if (this.#isAtBottom()) this.toBottom()
    else this.hold(row)
  }

  readonly #onScroll = () => {
    // The page has moved the rows, not the user: `restore` is about to be called.
    if (this.stuck.peek() && this.#hasResized() && !this.#isPulledUp()) return
    this.stuck.value = this.#isAtBottom()
    if (this.stuck.peek()) this.#anchor = undefined
    else this.#anchorHere()
    this.#onMove()
  }

  #isAtBottom() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    return scrollHeight - clientHeight - scrollTop <= BOTTOM_PX
  }

  #hasResized() {
    const { scrollHeight, clientHeight } = this.#restored
    return scrollHeight !== this.#scroller.scrollHeight || clientHeight !== this.#scroller.clientHeight
  }

  /** By the user. Content that shrinks pulls the view up, too, but by no more than it has lost. */
  #isPulledUp() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    const before = this.#restored
    const lost = Math.max(0, before.scrollHeight - before.clientHeight - (scrollHeight - clientHeight))
    return before.scrollTop - scrollTop > lost + BOTTOM_PX
  }

  /** To the last row that is wholly in sight; if a long one fills the view, to that. */
  #anchorHere() {
    const rows = this.#content.children
    const view = this.#scroller.getBoundingClientRect()
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      const bottom = rows[middle]?.getBoundingClientRect().bottom ?? 0
      if (bottom <= view.bottom) low = middle + 1
      else high = middle
    }
    const whole = rows[low - 1]
    const long = rows[low]
    if (whole && whole.getBoundingClientRect().bottom > view.top) this.#setAnchor(whole, 'bottom')
    else if (long) this.#setAnchor(long, 'top')
  }

  #setAnchor(row: Element, edge: 'top' | 'bottom') {
    this.#anchor = { row, edge, distance: this.#distance({ row, edge }) }
  }

  #distance({ row, edge }: { row: Element; edge: 'top' | 'bottom' }) {
    return row.getBoundingClientRect()[edge] - this.#scroller.getBoundingClientRect().bottom
  }
}
