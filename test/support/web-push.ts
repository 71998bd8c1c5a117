/** The receiver of Web Push with only node:crypto, which checks the sending library independently. */
import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from 'node:crypto'

/** The data that a browser stores for a subscription. */
export interface Receiver {
  /** All in base64url. */
  privateKey: string
  p256dh: string
  auth: string
}

export function newReceiver(): Receiver {
  const curve = createECDH('prime256v1')
  curve.generateKeys()
  return {
    privateKey: curve.getPrivateKey('base64url'),
    p256dh: curve.getPublicKey('base64url'),
    auth: randomBytes(16).toString('base64url'),
  }
}

const bytes = (text: string) => Buffer.from(text, 'base64url')

/** Decrypts a message (RFC 8291 §3.4, RFC 8188 §2). */
export function decrypt(body: Buffer, { privateKey, p256dh, auth }: Receiver): string {
  const [salt, recordSize, keyLength] = [body.subarray(0, 16), body.readUInt32BE(16), body.readUInt8(20)]
  const senderKey = body.subarray(21, 21 + keyLength)
  const record = body.subarray(21 + keyLength)
  if (record.length > recordSize) throw new Error('It has more than one record.')
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(bytes(privateKey))
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), bytes(p256dh), senderKey])
  const ikm = hkdfSync('sha256', curve.computeSecret(senderKey), bytes(auth), info, 32)
  const derive = (name: string, length: number) =>
    Buffer.from(hkdfSync('sha256', Buffer.from(ikm), salt, `Content-Encoding: ${name}\0`, length))
  const decipher = createDecipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12))
  decipher.setAuthTag(record.subarray(-16))
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
  const end = padded.lastIndexOf(2)
  if (end < 0 || padded.subarray(end + 1).some((byte) => byte !== 0)) throw new Error('Its padding is wrong.')
  return padded.subarray(0, end).toString()
}

export interface VapidClaims {
  aud: string
  exp: number
  sub: string
}

/**
 * Verifies an `Authorization` (RFC 8292).
 *
 * @returns undefined when it is invalid, or not signed with its key
 */
export function verifyVapid(authorization: string): { key: string; claims: VapidClaims } | undefined {
  const [, head = '', payload = '', signature = '', key = ''] =
    /^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$/.exec(authorization) ?? []
  const point = bytes(key)
  if (point.length !== 65) return undefined
  const coordinate = (from: number) => point.subarray(from, from + 32).toString('base64url')
  const jwk = { kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33) }
  const publicKey = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const }
  const isSigned = verify('sha256', Buffer.from(`${head}.${payload}`), publicKey, bytes(signature))
  const { alg } = JSON.parse(bytes(head).toString())
  return isSigned && alg === 'ES256' ? { key, claims: JSON.parse(bytes(payload).toString()) } : undefined
}
