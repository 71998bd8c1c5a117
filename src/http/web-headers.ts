/** Forbids other origins, frames and form submissions on every page. */
const NOTHING_ELSE = "default-src 'none'; form-action 'none'; frame-ancestors 'none'"

/** The page loads only its own files and the API, and never makes markup from text (Trusted Types). */
const PAGE_POLICY = [
  NOTHING_ELSE,
  "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; manifest-src 'self'; worker-src 'self'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'; trusted-types restante-worker",
].join('; ')

/** Swagger UI has icons in `data:` URLs. The page at /docs has a `<base>` of /docs/. */
const REFERENCE_POLICY = [
  NOTHING_ELSE,
  "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'self'",
].join('; ')

/** No Cross-Origin-Opener-Policy: over plain HTTP, browsers ignore it with a console warning. */
const headersWith = (policy: string) => ({
  'Content-Security-Policy': policy,
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
})

/** The headers of everything that a browser may show, except the API reference. */
export const webHeaders = headersWith(PAGE_POLICY)

/** The headers of the API reference. */
export const referenceHeaders = headersWith(REFERENCE_POLICY)
