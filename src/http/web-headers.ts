/** Forbidden on every page: other origins, frames, forms submitted by the browser. */
const NOTHING_ELSE = "default-src 'none'; form-action 'none'; frame-ancestors 'none'"

/** The page needs its own files and the API, and makes no markup from text (Trusted Types). */
const PAGE_POLICY = [
  NOTHING_ELSE,
  "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; manifest-src 'self'; worker-src 'self'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'; trusted-types restante-worker",
].join('; ')

/** Swagger UI draws its icons from `data:` addresses. The page at /docs has a base, below /docs/. */
const REFERENCE_POLICY = [
  NOTHING_ELSE,
  "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'self'",
].join('; ')

/** No Cross-Origin-Opener-Policy: over plain HTTP browsers ignore it, and complain on their console. */
const headersWith = (policy: string) => ({
  'Content-Security-Policy': policy,
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
})

/** The headers of the page and of everything else that a browser may show, except the API reference. */
export const webHeaders = headersWith(PAGE_POLICY)

/** The headers of the API reference. */
export const referenceHeaders = headersWith(REFERENCE_POLICY)
