import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { Contract } from '../contract/document.ts'
import { serveDocument } from './documents.ts'

/** The page needs nothing from elsewhere, and works over plain HTTP from another machine too. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'"

const HTML = 'text/html; charset=utf-8'
const JAVASCRIPT = 'application/javascript; charset=utf-8'
const CSS = 'text/css; charset=utf-8'
const PNG = 'image/png'

/** The files of Swagger UI that the page loads. They change with the version of the package only. */
const ASSETS = {
  'swagger-ui.css': CSS,
  'index.css': CSS,
  'swagger-ui-bundle.js': JAVASCRIPT,
  'swagger-ui-standalone-preset.js': JAVASCRIPT,
  'favicon-32x32.png': PNG,
  'favicon-16x16.png': PNG,
}
const ASSET_FRESH_SECONDS = 3_600

const assetsFolder = new URL('static/', import.meta.resolve('@fastify/swagger-ui'))

/** Serves from memory: the contract, its manual, and a page at /docs that shows it and can try it out. */
export async function serveApiReference(app: FastifyInstance, { text, manual, document }: Contract) {
  const serve = (path: string, type: string, content: string | Buffer, freshSeconds?: number) =>
    serveDocument(app, path, {
      type,
      content: Buffer.from(content),
      headers: { 'Content-Security-Policy': CONTENT_SECURITY_POLICY },
      freshSeconds,
    })

  serveDocument(app, '/openapi.yaml', { type: 'application/yaml', content: Buffer.from(text) })
  // Another name of the same, from which other tools may import it.
  serve('/docs/yaml', 'application/yaml', text)
  // As plain text, which every browser shows.
  serve('/docs/clients.md', 'text/plain; charset=utf-8', manual)
  serve('/docs/json', 'application/json; charset=utf-8', JSON.stringify(document))
  serve('/docs', HTML, pageWith('/docs/static'))
  serve('/docs/', HTML, pageWith('./static'))
  serve('/docs/static/swagger-initializer.js', JAVASCRIPT, INITIALIZER)
  await Promise.all(
    Object.entries(ASSETS).map(async ([name, type]) =>
      serve(`/docs/static/${name}`, type, await readFile(new URL(name, assetsFolder)), ASSET_FRESH_SECONDS),
    ),
  )
}

const pageWith = (assets: string) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<title>Restante</title>
<link rel="stylesheet" href="${assets}/swagger-ui.css">
<link rel="stylesheet" href="${assets}/index.css">
<link rel="icon" type="image/png" href="${assets}/favicon-32x32.png" sizes="32x32">
<link rel="icon" type="image/png" href="${assets}/favicon-16x16.png" sizes="16x16">
</head>
<body>
<div id="swagger-ui"></div>
<script src="${assets}/swagger-ui-bundle.js"></script>
<script src="${assets}/swagger-ui-standalone-preset.js"></script>
<script src="${assets}/swagger-initializer.js"></script>
</body>
</html>
`

/** The page may be at /docs or /docs/. No validator: it would ask a server on the internet. */
const INITIALIZER = `window.onload = () => {
  const page = window.location.pathname.replace(/[/]?$/, '/')
  const options = ${JSON.stringify({ dom_id: '#swagger-ui', deepLinking: true, layout: 'StandaloneLayout', validatorUrl: null })}
  SwaggerUIBundle({
    ...options,
    url: page + 'json',
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  })
}
`
