/** curl for a machine that has none, with the options that examples/chat.sh uses. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    silent: { type: 'boolean', short: 's' },
    request: { type: 'string', short: 'X' },
    'max-time': { type: 'string', short: 'm' },
    'dump-header': { type: 'string', short: 'D' },
    output: { type: 'string', short: 'o' },
    'write-out': { type: 'string', short: 'w' },
    header: { type: 'string', short: 'H', multiple: true },
    'data-binary': { type: 'string' },
  },
})

const headerLines = values.header.flatMap((line) =>
  line.startsWith('@') ? readFileSync(line.slice(1), 'utf8').trim().split('\n') : [line],
)
try {
  const response = await fetch(positionals[0], {
    method: values.request,
    headers: headerLines.map((line) => line.split(/: */, 2)),
    ...(values['data-binary'] === '@-' && { body: readFileSync(0) }),
    signal: AbortSignal.timeout(Number(values['max-time']) * 1_000),
  })
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  writeFileSync(values['dump-header'], `HTTP/1.1 ${response.status}\r\n${head}\r\n`)
  writeFileSync(values.output, Buffer.from(await response.arrayBuffer()))
  process.stdout.write(values['write-out'].replace('%{http_code}', String(response.status)))
} catch {
  // curl's own number for a server that cannot be reached.
  process.exitCode = 7
}
