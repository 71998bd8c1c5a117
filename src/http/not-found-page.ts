import type { FastifyReply, FastifyRequest } from 'fastify'
import { webHeaders } from './web-headers.ts'

/** Deeper than any path that people type. */
const DEPTH_MAX = 50

/** Whether a browser is opening a page: only then is HTML accepted by name. */
export const wantsPage = ({ method, headers }: FastifyRequest): boolean =>
  ['GET', 'HEAD'].includes(method) && /(^|,)\s*text\/html\s*(;|,|$)/i.test(headers.accept ?? '')

/** Sends an HTML page with status 404. */
export const sendNotFoundPage = (reply: FastifyReply): FastifyReply =>
  reply
    .code(404)
    .headers({ ...webHeaders, 'Cache-Control': 'no-cache' })
    .type('text/html; charset=utf-8')
    .send(pageFrom(pathToRoot(reply.request.url)))

/** Relative, because a proxy may serve this server below a prefix that only the browser knows. */
function pathToRoot(url: string): string {
  const [path = ''] = url.replace(/^https?:\/\/[^/]*/i, '').split('?')
  const depth = path.split('/').length - 2
  return depth > 0 ? '../'.repeat(Math.min(depth, DEPTH_MAX)) : './'
}

const pageFrom = (root: string) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Not found – Restante</title>
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="${root}icons/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${root}docs/reference.css">
</head>
<body>
<header>
<a class="home" href="${root}"><img src="${root}icons/icon.svg" alt="" width="24" height="24"> Restante</a>
</header>
<main>
<h1>Nothing is here</h1>
<p>This server has no page at this address. It has <a href="${root}">the chat</a> and <a href="${root}docs/">the API reference</a>.</p>
</main>
</body>
</html>
`
