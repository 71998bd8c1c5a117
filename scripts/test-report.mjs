/**
 * A reporter for `node --test` that writes a line of JSON for each test that failed, and for each file, with
 * its time: `test.ts` tells them behind the thousands of lines of both suites. Not TypeScript, because Node
 * loads it before anything it imports.
 *
 * @param {AsyncIterable<import('node:test/reporters').TestEvent>} events
 */
import { inspect } from 'node:util'

export default async function* testReport(events) {
  for await (const { type, data } of events) {
    // A file is the suite of that name: see compile-tests.ts.
    if (type === 'test:complete' && data.nesting === 0 && data.details.type === 'suite')
      yield line({ file: data.name, seconds: Number((data.details.duration_ms / 1_000).toFixed(1)) })
    if (type !== 'test:fail') continue
    const { error } = data.details
    // A test that failed because of one within it: that one is reported by itself.
    if (error.failureType === 'subtestsFailed') continue
    yield line({ failure: `${data.name}\n${inspect(error.cause ?? error)}\n\n` })
  }
}

const line = (told) => `${JSON.stringify(told)}\n`
