/**
 * The service worker. It caches the files of the page, so the page opens offline, and shows a notification
 * for each push. It has no token and sends no requests to the API.
 */

/** Defined by scripts/build-web.mjs: relative paths, the page itself as `./`; and a hash of their content. */
declare const SHELL_FILES: readonly string[]
declare const SHELL_VERSION: string

// TypeScript types every worker as a dedicated one.
const worker = globalThis as unknown as ServiceWorkerGlobalScope

const scope = new URL('./', worker.location.href)
// Several servers may be on one origin, below different paths.
const NAMES = `restante-shell ${scope.pathname} `
const NAME = NAMES + SHELL_VERSION

const shell = new Set(SHELL_FILES.map((file) => new URL(file, scope).href))

worker.addEventListener('install', (event) => event.waitUntil(keepShell()))
worker.addEventListener('activate', (event) => event.waitUntil(useShell()))

// The page asks for it when the user has agreed to the update.
worker.addEventListener('message', (event) => {
  if (event.data === 'take over') event.waitUntil(worker.skipWaiting())
})

// Only the shell comes from the cache; everything else, above all the API, from the network.
worker.addEventListener('fetch', (event) => {
  const { method, url } = event.request
  const address = new URL(url)
  address.search = ''
  address.hash = ''
  if (method === 'GET' && shell.has(address.href)) event.respondWith(answer(event.request, address.href))
})

// Each push must show a notification, or browsers revoke the subscription.
worker.addEventListener('push', (event) => event.waitUntil(notify(newestOf(event.data))))

worker.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(openPage(event.notification.data))
})

// If no page is open, the next one registers the new subscription.
worker.addEventListener('pushsubscriptionchange', (event) => {
  ;(event as ExtendableEvent).waitUntil(tellPage({ type: 'subscription changed' }))
})

async function keepShell() {
  const cache = await caches.open(NAME)
  // Bypass the HTTP cache, so all files are of one version.
  await cache.addAll([...shell].map((url) => new Request(url, { cache: 'reload' })))
}

async function useShell() {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith(NAMES) && name !== NAME)
  await Promise.all(old.map((name) => caches.delete(name)))
  await worker.clients.claim()
}

/** Falls back to the network, because the browser may have evicted the cache. */
async function answer(request: Request, url: string) {
  const cache = await caches.open(NAME)
  return (await cache.match(url)) ?? fetch(request)
}

/** The seq of the newest message in the inbox; 0 for a push that is not our hint. */
function newestOf(data: PushMessageData | null): number {
  try {
    const { newest } = data?.json() ?? {}
    return Number.isSafeInteger(newest) ? newest : 0
  } catch {
    return 0
  }
}

async function notify(newest: number) {
  // One notification for all messages, which alerts again for each hint.
  const options = { tag: 'message', renotify: true, icon: 'icons/icon-192.png', data: newest }
  await worker.registration.showNotification('New message', options)
  await tellPage({ type: 'notified' })
}

/** Focuses the page or opens it. A click permits only one of the two. */
async function openPage(newest: number) {
  const [page] = await pages()
  if (!page) return void (await worker.clients.openWindow(`${scope.href}#newest=${newest}`))
  page.postMessage({ type: 'clicked', newest })
  await page.focus()
}

/** Sends a message to the most recently used page, if one is open. */
async function tellPage(message: object) {
  const [page] = await pages()
  page?.postMessage(message)
}

/** The open pages, without the API reference, which is below them. */
async function pages() {
  const clients = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true })
  return clients.filter(({ url }) => url.replace(/[?#].*$/, '') === scope.href)
}
