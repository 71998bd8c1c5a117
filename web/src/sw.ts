/**
 * The service worker. It keeps the files of the page, so that the page opens without a network; and it shows
 * a notification for each push. It has no token, and asks the server for nothing.
 */

/** Put in by scripts/build-web.mjs: relative paths, the page itself as `./`; and a hash of their content. */
declare const SHELL_FILES: readonly string[]
declare const SHELL_VERSION: string

// TypeScript takes every worker for a plain one.
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

// Everything but the shell is left to the network: the API above all, and its reference.
worker.addEventListener('fetch', (event) => {
  const { method, url } = event.request
  const address = new URL(url)
  address.search = ''
  address.hash = ''
  if (method === 'GET' && shell.has(address.href)) event.respondWith(answer(event.request, address.href))
})

// Each push ends in a notification: a browser takes back what does not.
worker.addEventListener('push', (event) => event.waitUntil(notify(newestOf(event.data))))

worker.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(openPage(event.notification.data))
})

// Without a page, the next one that is opened registers what the browser has then.
worker.addEventListener('pushsubscriptionchange', (event) => {
  ;(event as ExtendableEvent).waitUntil(tellPage({ type: 'subscription changed' }))
})

async function keepShell() {
  const cache = await caches.open(NAME)
  // Past the HTTP cache, so that the files belong together.
  await cache.addAll([...shell].map((url) => new Request(url, { cache: 'reload' })))
}

async function useShell() {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith(NAMES) && name !== NAME)
  await Promise.all(old.map((name) => caches.delete(name)))
  await worker.clients.claim()
}

/** The browser may have removed what was kept. */
async function answer(request: Request, url: string) {
  const cache = await caches.open(NAME)
  return (await cache.match(url)) ?? fetch(request)
}

/** The number of the newest message in the inbox. What is not a hint of ours is shown as well. */
function newestOf(data: PushMessageData | null): number {
  try {
    const { newest } = data?.json() ?? {}
    return Number.isSafeInteger(newest) ? newest : 0
  } catch {
    return 0
  }
}

async function notify(newest: number) {
  // One for all messages. A hint that comes after another one is news, so it rings again.
  const options = { tag: 'message', renotify: true, icon: 'icons/icon-192.png', data: newest }
  await worker.registration.showNotification('New message', options)
  await tellPage({ type: 'notified' })
}

/** Focuses the page, or else opens it: one click allows one of the two. */
async function openPage(newest: number) {
  const [page] = await pages()
  if (!page) return void (await worker.clients.openWindow(`${scope.href}#newest=${newest}`))
  page.postMessage({ type: 'clicked', newest })
  await page.focus()
}

/** The page that was used last, if any is open. */
async function tellPage(message: object) {
  const [page] = await pages()
  page?.postMessage(message)
}

/** The API reference is below the page. */
async function pages() {
  const clients = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true })
  return clients.filter(({ url }) => url.replace(/[?#].*$/, '') === scope.href)
}
