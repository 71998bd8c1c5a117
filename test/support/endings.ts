import { after, type TestContext } from 'node:test'

/** A test, or anything else with an end. */
export type Ending = Pick<TestContext, 'after'>

/** A server stops within seconds; a hook that hangs would hold up its process. */
const END = { timeout: 120_000 }

const endings = new WeakMap<Ending, (() => unknown)[]>()

/**
 * Actions at the end of a test, in reverse order: a server stops before its database is dropped. A failure
 * does not prevent the others.
 */
export function atTheEnd(t: Ending, end: () => unknown): void {
  const known = endings.get(t)
  if (known) {
    known.push(end)
    return
  }
  const ends = [end]
  endings.set(t, ends)
  t.after(async () => {
    const faults: unknown[] = []
    for (const each of ends.reverse())
      try {
        await each()
      } catch (fault) {
        faults.push(fault)
      }
    if (faults.length > 0) throw faults[0]
  }, END)
}

/** The end of the calling suite or file. */
export function endOfSuite(): Ending {
  let end: (() => unknown) | undefined
  after(() => end?.(), END)
  return {
    after: (given) => {
      end = given as () => unknown
    },
  }
}
