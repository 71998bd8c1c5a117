import { signal } from '@preact/signals'

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>
}

/** The browser's offer to install the page, where it makes one. */
export const installPrompt = signal<InstallPrompt | undefined>(undefined)

addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault()
  installPrompt.value = event as InstallPrompt
})
addEventListener('appinstalled', () => {
  installPrompt.value = undefined
})

export const isInstalled = () => matchMedia('(display-mode: standalone)').matches
/** An iPad says that it is a Mac, but no Mac can be touched. */
export const isIos = () =>
  /iPhone|iPad/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)
