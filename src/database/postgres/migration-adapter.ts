import { PrismaPg } from '@prisma/adapter-pg'
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import pg from 'pg'

/** The type "char" of PostgreSQL's own catalogue. */
const CATALOGUE_CHAR = 18

/** Prisma's adapter for the schema engine, corrected in two places. */
export class MigrationAdapter extends PrismaPg {
  override async connect() {
    return corrected(await super.connect())
  }

  override async connectToShadowDb() {
    return corrected(await super.connectToShadowDb())
  }
}

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>

function corrected(adapter: Adapter): Adapter {
  const pool = adapter.underlyingDriver()
  const query = pool.query.bind(pool) as (config: unknown) => Promise<pg.QueryResult>

  // The adapter cuts a script at every semicolon, also inside functions. Sent at once, it is one transaction.
  adapter.executeScript = async (script) => {
    await query(script)
  }

  // Reading the catalogue fails at a type that the adapter does not know
  // (github.com/prisma/orm/issues/27403).
  const characterColumns = new WeakMap<unknown[], number[]>()
  const queryCatalogue = async (config: unknown) => {
    const result = await query(config)
    const columns = result.fields.flatMap(({ dataTypeID }, at) => (dataTypeID === CATALOGUE_CHAR ? [at] : []))
    for (const at of columns) Object.assign(result.fields[at] ?? {}, { dataTypeID: pg.types.builtins.TEXT })
    characterColumns.set(result.rows, columns)
    return result
  }
  pool.query = queryCatalogue as typeof pool.query
  const queryRaw = adapter.queryRaw.bind(adapter)
  adapter.queryRaw = async (text) => {
    const result = await queryRaw(text)
    for (const at of characterColumns.get(result.rows) ?? [])
      result.columnTypes[at] = ColumnTypeEnum.Character
    return result
  }
  return adapter
}
