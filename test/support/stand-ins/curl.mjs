/** curl for a machine that has none, with the options that the examples and README.md use. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
    request: { type: 'string', short: 'X' },
    'max-time': { type: 'string', short: 'm' },
    'dump-header': { type: 'string', short: 'D' },
    output: { type: 'string', short: 'o' },
    'write-out': { type: 'string', short: 'w' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
    'data-binary': { type: 'string' },
    config: { type: 'string', short: 'K' },
    fail: { type: 'boolean', short: 'f' },
    // The number of retries; this stand-in makes none.
    retry: { type: 'string' },
    'retry-connrefused': { type: 'boolean' },
  },
})

/** Only headers are supported in an option file. */
const configured =
  values.config === '-'
    ? [...readFileSync(0, 'utf8').matchAll(/^header = "(.*)"$/gm)].map(([, line]) => line)
    : []
const headerLines = [...configured, ...(values.header ?? [])].flatMap((line) =>
  line.startsWith('@') ? readFileSync(line.slice(1), 'utf8').trim().split('\n') : [line],
)
const [, file] = /^@(.+)$/.exec(values['data-binary'] ?? '') ?? []
const body = file ? readFileSync(file === '-' ? 0 : file) : values.data
try {
  const response = await fetch(positionals[0], {
    method: values.request ?? (body === undefined ? 'GET' : 'POST'),
    headers: headerLines.map((line) => line.split(/: */, 2)),
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(Number(values['max-time'] ?? 60) * 1_000),
  })
  if (values.fail && !response.ok) process.exit(22)
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  if (values['dump-header'])
    writeFileSync(values['dump-header'], `HTTP/1.1 ${response.status}\r\n${head}\r\n`)
  const bytes = Buffer.from(await response.arrayBuffer())
  if (values.output) writeFileSync(values.output, bytes)
  else process.stdout.write(bytes)
  const after = (values['write-out'] ?? '').replace('%{http_code}', String(response.status))
  process.stdout.write(after.replaceAll('\\n', '\n'))
} catch (error) {
  const { code = '', message = '' } = error.cause ?? error
  // curl's exit codes: unknown host, no TLS, unreachable server.
  process.exitCode = /ENOTFOUND|EAI_AGAIN/.test(code) ? 6 : /SSL/.test(code) ? 35 : 7
  if (values['show-error']) console.error(`curl: (${process.exitCode}) ${code} ${message}`)
}
