import { signal } from '@preact/signals'
import { registerWorker, useNewWorker } from '../worker.ts'

/** A new version of the page is here, and waits. */
export const updateIsReady = signal(false)

let registration: ServiceWorkerRegistration | undefined

/** Registers the service worker, and looks for new versions while the page stays open. */
export async function watchForUpdates(): Promise<void> {
  registration = await registerWorker()
  if (!registration) return
  const workers = navigator.serviceWorker
  // The first worker of all takes over a page that is as new as itself.
  let hadWorker = Boolean(workers.controller)
  workers.addEventListener('controllerchange', () => {
    if (hadWorker) location.reload()
    hadWorker = true
  })
  const look = () => {
    updateIsReady.value = Boolean(registration?.waiting && workers.controller)
  }
  look()
  registration.addEventListener('updatefound', () => {
    registration?.installing?.addEventListener('statechange', look)
  })
  document.addEventListener('visibilitychange', () => {
    // Without a network there is no news.
    if (document.visibilityState === 'visible') void registration?.update().catch(() => {})
  })
}

export function acceptUpdate(): void {
  if (registration) useNewWorker(registration)
}
