/** The service worker: it keeps the files of the page, so that the page opens without a network. */

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
