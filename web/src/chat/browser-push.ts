import { RestanteProblem } from 'restante-client'

/** Offline, Chromium never answers `subscribe`. */
const TIMEOUT_MS = 20_000

/** Only secure pages have it; on iOS only pages that are installed. */
export const isPushSupported = () =>
  'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis

/** Asks the user, who must have clicked just now. Resolves at once where the answer is known. */
export const askPermission = () => Notification.requestPermission()

export const permission = () => Notification.permission

/**
 * The subscription of this browser: made anew when it has none, or one for another key.
 *
 * @throws RestanteProblem `push_unavailable` when the browser's push service does not give one
 */
export async function subscribeBrowser(publicKey: string): Promise<PushSubscription> {
  try {
    return await limited(subscribe(publicKey))
  } catch (cause) {
    throw new RestanteProblem({ code: 'push_unavailable', status: 0, detail: String(cause), cause })
  }
}

/** Ends the subscription of this browser, if it has one. Resolves with its endpoint. */
export async function unsubscribeBrowser(): Promise<string | undefined> {
  if (!isPushSupported()) return undefined
  const registration = await navigator.serviceWorker.getRegistration()
  const known = await registration?.pushManager.getSubscription()
  // Offline it may not know; the server ends the subscription as well.
  await limited(known?.unsubscribe()).catch(() => {})
  return known?.endpoint
}

/** Takes away the notifications that are shown. */
export async function closeNotifications() {
  if (!isPushSupported()) return
  const registration = await navigator.serviceWorker.getRegistration()
  for (const notification of (await registration?.getNotifications()) ?? []) notification.close()
}

async function subscribe(applicationServerKey: string) {
  const { pushManager } = await navigator.serviceWorker.ready
  const known = await pushManager.getSubscription()
  if (known && toBase64Url(known.options.applicationServerKey) === applicationServerKey) return known
  await known?.unsubscribe()
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey })
}

function limited<T>(promise: T | Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('The push service does not answer.')), TIMEOUT_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function toBase64Url(key: ArrayBuffer | null): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(key ?? new ArrayBuffer(0))))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
