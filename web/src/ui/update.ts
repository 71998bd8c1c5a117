import { signal } from '@preact/signals'
import { registerWorker, useNewWorker, WORKER } from '../worker.ts'

/** Whether a new version of the page is ready. */
export const updateIsReady = signal(false)

let registration: ServiceWorkerRegistration | undefined

/** Registers the service worker, and checks for new versions while the page is open. */
export async function watchForUpdates(): Promise<void> {
  registration = await registerWorker()
  if (!registration) return
  const workers = navigator.serviceWorker
  // The very first worker has the same version as the page, so it needs no reload.
  let hadWorker = Boolean(workers.controller)
  workers.addEventListener('controllerchange', () => {
    if (hadWorker) location.reload()
    hadWorker = true
  })
  const checkWaiting = () => {
    updateIsReady.value = Boolean(registration?.waiting && workers.controller)
  }
  checkWaiting()
  registration.addEventListener('updatefound', () => {
    registration?.installing?.addEventListener('statechange', checkWaiting)
  })
  const ask = () => registration?.update().catch(unregisterIfGone)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void ask()
  })
  await ask()
}

/**
 * Removes the worker if the server no longer serves it, so it does not hide another server or a missing page.
 */
async function unregisterIfGone() {
  // Offline, nothing is known.
  const answer = await fetch(WORKER, { cache: 'no-store' }).catch(() => undefined)
  const isScript = /javascript/.test(answer?.headers.get('Content-Type') ?? '')
  if (!answer || !(answer.ok ? !isScript : [404, 410].includes(answer.status))) return
  await registration?.unregister()
  location.reload()
}

export function acceptUpdate(): void {
  if (registration) useNewWorker(registration)
}
