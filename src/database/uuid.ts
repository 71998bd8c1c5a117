/** UUIDs as text, and as the 16 bytes that a row has. Both know that it is one, and do not look. */

export const uuidToBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')

export function bytesToUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Those that stand one behind another in a row. */
export const bytesToUuids = (bytes: Buffer): string[] =>
  Array.from({ length: bytes.length / 16 }, (_, at) => bytesToUuid(bytes.subarray(16 * at, 16 * (at + 1))))

/** In a row of `message`: what the ids of a receipt take in a page, where each is a text of 36 characters. */
export const RECEIPT_BYTES = 'coalesce(octet_length(receipt_for) / 16 * 39, 0)'
