import type { ApplicationToken } from './database.ts'

type Dates = Pick<ApplicationToken, 'expiresAtMs' | 'lastUsedAtMs'>

/** As the databases give it: a date that is not there is null. */
export type NullableDates<T extends Dates> = Omit<T, keyof Dates> & { [Date in keyof Dates]: number | null }

export function withoutNulls<T extends Dates>({ expiresAtMs, lastUsedAtMs, ...row }: NullableDates<T>): T {
  return { ...row, expiresAtMs: expiresAtMs ?? undefined, lastUsedAtMs: lastUsedAtMs ?? undefined } as T
}
