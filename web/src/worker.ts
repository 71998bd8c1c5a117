/** With Trusted Types, the URL of a script must come from a policy. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL: (url: string) => string
  }
}

/** The only policy name that the server's Content-Security-Policy allows. */
const POLICY = 'restante-worker'

export const WORKER = 'sw.js'

/**
 * Registers the service worker, which makes the page work offline.
 *
 * @returns undefined without service workers, as over plain http except on localhost
 */
export async function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  if (!('serviceWorker' in navigator)) return undefined
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  const policy = trustedTypes?.createPolicy(POLICY, { createScriptURL: () => WORKER })
  try {
    return await navigator.serviceWorker.register(policy?.createScriptURL(WORKER) ?? WORKER)
  } catch {
    // The page works without it. Storage may be disabled, or the server down.
    return undefined
  }
}

/** Lets the waiting worker take over. `controllerchange` follows, and the page reloads. */
export const useNewWorker = (registration: ServiceWorkerRegistration): void =>
  registration.waiting?.postMessage('take over')
