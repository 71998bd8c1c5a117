import { after, type TestContext } from 'node:test'

/** A test, or whatever else tells when it is over. */
export type Ending = Pick<TestContext, 'after'>

const endings = new WeakMap<Ending, (() => unknown)[]>()

/**
 * What is done at the end of a test, the last first: a server stops before the database goes that it has.
 * What fails holds up nothing else.
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
  })
}

/** The end of the suite, or of the file, in which this is called. */
export function endOfSuite(): Ending {
  let end: (() => unknown) | undefined
  after(() => end?.())
  return {
    after: (given) => {
      end = given as () => unknown
    },
  }
}
