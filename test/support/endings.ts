import { after, type TestContext } from 'node:test'

/** A test, or whatever else tells when it is over. */
export type Ending = Pick<TestContext, 'after'>

const endings = new WeakMap<Ending, (() => unknown)[]>()

/** What is done at the end of a test, the last first: a server stops before the database goes that it has. */
export function atTheEnd(t: Ending, end: () => unknown): void {
  const known = endings.get(t)
  if (known) {
    known.push(end)
    return
  }
  const ends = [end]
  endings.set(t, ends)
  t.after(async () => {
    for (const each of ends.reverse()) await each()
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
