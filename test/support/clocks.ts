import { mock, type TestContext } from 'node:test'
import { newDatabase, onPostgres } from './databases.ts'
import { atTheEnd, type Ending } from './endings.ts'
import { withSql } from './sql.ts'

/** Stops the monotonic clock of this process until the test ends. */
export function stillClock(t: TestContext): { tick: (ms: number) => void } {
  let nowMs = performance.now()
  // A mock would record a stack trace for each call, which takes longer than the tested code.
  Object.defineProperty(performance, 'now', { value: () => nowMs, configurable: true })
  t.after(() => void Reflect.deleteProperty(performance, 'now'))
  return {
    tick: (ms) => {
      nowMs += ms
    },
  }
}

/** Makes the wall clock of this process wrong, until the returned function is called. */
export function setClockWrong(byMs: number) {
  const RightDate = Date
  globalThis.Date = class extends RightDate {
    constructor(...given: [] | [string]) {
      if (given.length === 0) super(RightDate.now() + byMs)
      else super(...given)
    }

    static override now() {
      return RightDate.now() + byMs
    }
  } as DateConstructor
  return () => {
    globalThis.Date = RightDate
  }
}

export interface WallClock {
  /** The database whose servers use it. */
  database: string
  /** Its time. */
  now: () => number
  /** Sets it; servers on PostgreSQL notice within seconds. */
  step: (byMs: number) => Promise<void>
}

const rightNow = () => performance.timeOrigin + performance.now()

/**
 * The clock of servers, which can be set while they run: that of this process, where they must be started
 * afterwards, or that of the database.
 */
export async function wallClock(t: Ending): Promise<WallClock> {
  const database = await newDatabase(t)
  let wrongByMs = 0
  if (onPostgres) await withSql(database, ({ run }) => runAll(run, SHADOW))
  else {
    const shifted = mock.method(Date, 'now', () => Math.floor(rightNow() + wrongByMs))
    atTheEnd(t, () => shifted.mock.restore())
  }
  return {
    database,
    now: () => rightNow() + wrongByMs,
    step: async (byMs) => {
      wrongByMs += Math.round(byMs)
      if (onPostgres)
        await withSql(database, ({ run }) => run('UPDATE shadow.clock SET wrong_by = ?', wrongByMs))
    },
  }
}

async function runAll(run: (statement: string) => Promise<unknown>, statements: string[]) {
  for (const statement of statements) await run(statement)
}

/** Servers look in pg_catalog first, whatever the search path: there this database gets its own clock. */
const SHADOW = [
  'CREATE SCHEMA shadow',
  'CREATE TABLE shadow.clock (wrong_by bigint)',
  'INSERT INTO shadow.clock VALUES (0)',
  'SET allow_system_table_mods = on',
  'ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO right_clock_timestamp',
  `CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
     SELECT right_clock_timestamp() + (SELECT wrong_by FROM shadow.clock) * interval '1 millisecond'
   $$`,
]
