import { RestanteProblem } from 'restante-client'

/** Offline, `subscribe` never settles in Chromium. */
const TIMEOUT_MS = 20_000

/** Only secure pages have push, and on iOS only installed ones. */
export const isPushSupported = () =>
  'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis

/** Asks the user; must be called from a click. Resolves at once if the user has answered before. */
export const askPermission = () => Notification.requestPermission()

export const permission = () => Notification.permission

/**
 * The subscription of this browser. Creates one if there is none for this key.
 *
 * @throws RestanteProblem `push_unavailable` when the browser's push service refuses
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
  // May fail offline. The server ends the subscription too.
  await limited(known?.unsubscribe()).catch(() => {})
  return known?.endpoint
}

/** Closes the notifications of this page. */
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
