import { signal } from '@preact/signals'

/** This close to the bottom counts as at the bottom. */
const BOTTOM_PX = 24

/**
 * Keeps the scroll position while rows are appended, grow, or are added above. The view is either stuck to
 * the bottom, or anchored to a row by the distance of its edge from the bottom of the view. Rows that were
 * never rendered (`content-visibility`) change their height when they come near, so the position is restored
 * on every change of a size. Only scrolling by the user moves the anchor.
 */
export class ScrollAnchor {
  readonly stuck = signal(true)
  readonly #scroller: HTMLElement
  readonly #content: HTMLElement
  readonly #onMove: () => void
  readonly #observer = new ResizeObserver(() => this.restore())
  #anchor: { row: Element; edge: 'top' | 'bottom'; distance: number } | undefined
  /** The state of the scroller after `restore`. */
  #restored = { scrollTop: 0, scrollHeight: 0, clientHeight: 0 }

  /**
   * @param content the parent of the rows
   * @param onMove called after each move, by the user or by us
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

  /** Restores the position. Call it after each change of the rows. */
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

  /** Keeps the top edge of a row in place while it grows. */
  hold(row: Element): void {
    this.stuck.value = false
    this.#setAnchor(row, 'top')
  }

  /** Scrolls a row to the upper part of the view, or to the bottom if the rest fits. */
  show(row: Element): void {
    const { top, height } = this.#scroller.getBoundingClientRect()
    this.#scroller.scrollTop += row.getBoundingClientRect().top - top - height / 5
    if (this.#isAtBottom()) this.toBottom()
    else this.hold(row)
  }

  readonly #onScroll = () => {
    // Caused by a layout change, not the user: `restore` will be called.
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

  /**
   * Whether the user scrolled up. Shrinking content also moves the view up, but by no more than it shrank.
   */
  #isPulledUp() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    const before = this.#restored
    const lost = Math.max(0, before.scrollHeight - before.clientHeight - (scrollHeight - clientHeight))
    return before.scrollTop - scrollTop > lost + BOTTOM_PX
  }

  /** Anchors to the last row that is completely visible, or to a long one that fills the view. */
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
