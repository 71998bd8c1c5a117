/** UUIDs as text, and as the 16 bytes that a row has. Both know that it is one, and do not look. */

export const uuidToBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')

export function bytesToUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
