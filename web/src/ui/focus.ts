import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Whether the main pointer is a finger, so focusing a field opens the on-screen keyboard. */
export const isTouch = () => matchMedia('(pointer: coarse)').matches

/** Focuses the element when it appears, and when `view` changes. */
export function useFocus<E extends HTMLElement>(view?: unknown): RefObject<E | null> {
  const ref = useRef<E>(null)
  useEffect(() => ref.current?.focus({ preventScroll: true }), [view])
  return ref
}
