import { signal } from '@preact/signals'

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>
}

/** The browser's prompt to install the page, if it offers one. */
export const installPrompt = signal<InstallPrompt | undefined>(undefined)

addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault()
  installPrompt.value = event as InstallPrompt
})
addEventListener('appinstalled', () => {
  installPrompt.value = undefined
})

export const isInstalled = () => matchMedia('(display-mode: standalone)').matches
/** An iPad identifies itself as a Mac, but Macs have no touch screen. */
export const isIos = () =>
  /iPhone|iPad/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)
