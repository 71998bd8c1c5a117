/** Where the page has Trusted Types, a script's address must come from a policy. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL: (url: string) => string
  }
}

/** The server's Content-Security-Policy allows a policy of this name only. */
const POLICY = 'restante-worker'

export const WORKER = 'sw.js'

/**
 * Registers the service worker, which keeps the shell of the page for times without a network. The page
 * looks at `waiting` and `updatefound` of the registration to propose an update; `useNewWorker` accepts it.
 *
 * @returns undefined where there are no service workers: over plain http, except on localhost
 */
export async function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  if (!('serviceWorker' in navigator)) return undefined
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  const policy = trustedTypes?.createPolicy(POLICY, { createScriptURL: () => WORKER })
  try {
    return await navigator.serviceWorker.register(policy?.createScriptURL(WORKER) ?? WORKER)
  } catch {
    // The page works without it: storage may be switched off, or the server may be away.
    return undefined
  }
}

/** Lets a new worker that waits take over. `controllerchange` follows; then the page reloads. */
export const useNewWorker = (registration: ServiceWorkerRegistration): void =>
  registration.waiting?.postMessage('take over')
