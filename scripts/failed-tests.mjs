/**
 * A reporter for `node --test` that writes what failed and nothing else: `test.ts` says it at the end, behind
 * the thousands of lines of both suites. Not TypeScript, because Node loads it before anything it imports.
 *
 * @param {AsyncIterable<import('node:test/reporters').TestEvent>} events
 */
import { inspect } from 'node:util'

export default async function* failedTests(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:fail') continue
    const { error } = data.details
    // A test that failed because of one within it: that one is told by itself.
    if (error.failureType === 'subtestsFailed') continue
    yield `${data.file}:${data.line} ${data.name}\n${inspect(error.cause ?? error)}\n\n`
  }
}
