/**
 * A reporter for `node --test` that writes a line of JSON per failed test, and per file with its time.
 * `test.ts` prints them after the thousands of lines of both suites. Not TypeScript, because Node loads it
 * before tsx.
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
    // Failed only because of a nested test, which is reported itself.
    if (error.failureType === 'subtestsFailed') continue
    yield line({ failure: `${data.name}\n${inspect(error.cause ?? error)}\n\n` })
  }
}

const line = (entry) => `${JSON.stringify(entry)}\n`
