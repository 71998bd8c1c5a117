import { signal } from '@preact/signals'
import { registerWorker, useNewWorker, WORKER } from '../worker.ts'

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
  const ask = () => registration?.update().catch(leaveIfGone)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void ask()
  })
  await ask()
}

/** The worker must not hide that this address has another server now, or one that has no page any more. */
async function leaveIfGone() {
  // Without a network there is no news.
  const answer = await fetch(WORKER, { cache: 'no-store' }).catch(() => undefined)
  const isScript = /javascript/.test(answer?.headers.get('Content-Type') ?? '')
  if (!answer || !(answer.ok ? !isScript : [404, 410].includes(answer.status))) return
  await registration?.unregister()
  location.reload()
}

export function acceptUpdate(): void {
  if (registration) useNewWorker(registration)
}
