import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { laterVersionOf } from '../support/later-version.ts'
import { startServer } from '../support/servers.ts'

/** The generators of clients from openapi.yaml; test/long/clients has a program for each. */
const GENERATORS: Record<string, string> = {
  'openapi-fetch': 'openapi-typescript openapi.yaml -o generated/openapi-fetch.ts',
  'hey-api': 'openapi-ts -f hey-api.config.mjs',
  orval: 'orval --input ./openapi.yaml --output ./generated/orval.ts --client axios-functions',
  'swagger-typescript-api':
    'swagger-typescript-api generate -p openapi.yaml -o generated -n swagger-typescript-api.ts',
}

const TSX = import.meta.resolve('tsx')

test('clients generated from the contract of a running server', async (t) => {
  const { url } = await startServer(t)
  const later = await laterVersionOf(t, url)
  const folder = mkdtempSync(join(tmpdir(), 'restante-clients-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const run = async (command: string, ...args: string[]) => {
    const env = { ...process.env, PATH: `${join(folder, 'node_modules/.bin')}:${process.env['PATH']}` }
    await promisify(execFile)(command, args, { cwd: folder, env }).catch((error) => {
      throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`)
    })
  }

  cpSync(fileURLToPath(new URL('clients', import.meta.url)), folder, { recursive: true })
  writeFileSync(join(folder, 'openapi.yaml'), await (await fetch(`${url}/openapi.yaml`)).text())
  // No package needs its install script, and one of them reports to its vendor.
  await run('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund')

  for (const [client, generator] of Object.entries(GENERATORS)) {
    const [command = '', ...args] = generator.split(' ')
    await t.test(`${client} is generated`, () => run(command, ...args))
  }
  await t.test('all of them compile under strict TypeScript', () => run('tsc'))

  for (const client of Object.keys(GENERATORS)) {
    const live = (server: string, version: string) =>
      run(process.execPath, '--import', TSX, 'run.ts', client, server, version)
    await t.test(`${client} does everything that two users need`, () => live(url, 'now'))
    await t.test(`${client} does so with members and values of a later version`, () => live(later, 'later'))
  }
})
