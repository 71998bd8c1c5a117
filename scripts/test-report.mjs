import { inspect } from 'node:util'

/**
 * A reporter for `node --test` that writes a line of JSON when a test begins, ends or fails, and per file
 * with its time. `test.ts` prints failures and times after the thousands of lines of both suites. Not
 * TypeScript, because Node loads it before tsx.
 *
 * @param {AsyncIterable<import('node:test/reporters').TestEvent>} events
 */
export default async function* testReport(events) {
  for await (const { type, data } of events) {
    // If a process must be killed, test.ts names the tests that have begun and not ended.
    if (type === 'test:dequeue') yield line({ begun: data.name })
    if (type === 'test:complete') yield line({ ended: data.name })
    // A file is the suite of that name: see compile-tests.ts.
    if (type === 'test:complete' && data.nesting === 0 && data.details.type === 'suite')
      yield line({ file: data.name, seconds: Number((data.details.duration_ms / 1_000).toFixed(1)) })
    if (type !== 'test:fail') continue
    const error = /** @type {Error & { failureType?: string }} */ (data.details.error)
    // Failed only because of a nested test, which is reported itself.
    if (error.failureType === 'subtestsFailed') continue
    yield line({ failure: `${data.name}\n${inspect(error.cause ?? error)}\n\n` })
  }
}

/** @param {object} entry */
const line = (entry) => `${JSON.stringify(entry)}\n`
