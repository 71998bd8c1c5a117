/** Converts UUIDs between text and the 16 bytes of a row. The input is not checked. */

export const uuidToBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')

export const bytesToUuid = (bytes: Buffer): string => uuidAt(bytes.toString('hex'), 0)

const UUID_DIGITS = 32

/** @param hex the digits of several, concatenated */
export const uuidsOf = (hex: string): string[] =>
  Array.from({ length: hex.length / UUID_DIGITS }, (_, index) => uuidAt(hex, index * UUID_DIGITS))

function uuidAt(hex: string, start: number): string {
  const group = (from: number, to: number) => hex.slice(start + from, start + to)
  return `${group(0, 8)}-${group(8, 12)}-${group(12, 16)}-${group(16, 20)}-${group(20, 32)}`
}

/** @param bytes of several, concatenated */
export const bytesToUuids = (bytes: Buffer): string[] => uuidsOf(bytes.toString('hex'))
