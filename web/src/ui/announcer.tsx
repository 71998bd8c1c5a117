import { signal } from '@preact/signals'

const said = signal('')

/** Has screen readers read a sentence after their current one. */
export function announce(sentence: string): void {
  // A repeated sentence must change the text, or it is not read again.
  said.value = said.peek() === sentence ? `${sentence}\u00a0` : sentence
}

export const Announcer = () => (
  <p class="sr" role="status">
    {said}
  </p>
)
