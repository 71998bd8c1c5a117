/** Rows as the databases return them: a missing value is null. */
export type Row<T> = { [Name in keyof T]: T[Name] | (undefined extends T[Name] ? null : never) }

export const withoutNulls = <T extends object>(row: Row<T>): T =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? undefined])) as T
