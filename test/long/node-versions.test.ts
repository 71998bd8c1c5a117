/** The supported versions of Node besides that of the tests. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runScript } from '../support/scripts.ts'

/** Tests of the process, its threads, and a message. */
const FILES = ['process', 'shutdown', 'sending', 'connections'].map((name) => `test/${name}.test.ts`)

/** The version on which the package and the folder of the image are tested, too: compiling takes minutes. */
const WITH_PACKAGE = '24'

describe('on another version of Node', () => {
  for (const version of ['22', '24', '26']) {
    it(`(${version}) the packages install, and the server starts and keeps its promises`, async (t) => {
      const tests = `npm run test:sqlite -- ${FILES.join(' ')}`
      const shipped = version === WITH_PACKAGE ? ' && npm run test:long -- package' : ''
      const { code, output } = await runScript(t, [
        'scripts/on-node.mjs',
        version,
        'sh',
        '-c',
        tests + shipped,
      ])

      assert.match(output, new RegExp(`^v${version}\\.`, 'm'))
      assert.equal(code, 0, output)
      t.diagnostic(/== .+ ==/.exec(output)?.[0] ?? '')
    })
  }
})
