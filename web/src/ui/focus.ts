import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Whether the main pointer is a finger: a keyboard on the screen would come with the focus. */
export const isTouch = () => matchMedia('(pointer: coarse)').matches

/** Takes the focus to the element when the view appears, or when `view` changes. */
export function useFocus<E extends HTMLElement>(view?: unknown): RefObject<E | null> {
  const ref = useRef<E>(null)
  useEffect(() => ref.current?.focus({ preventScroll: true }), [view])
  return ref
}
