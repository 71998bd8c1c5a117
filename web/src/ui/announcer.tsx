import { signal } from '@preact/signals'

const said = signal('')

/** Has a screen reader say it, when it has finished its sentence. */
export function announce(sentence: string): void {
  // The same sentence again is a change, too.
  said.value = said.peek() === sentence ? `${sentence}\u00a0` : sentence
}

export const Announcer = () => (
  <p class="sr" role="status">
    {said}
  </p>
)
