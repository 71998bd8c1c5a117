/** A key pair by which push services know this server (RFC 8292). */
export interface VapidKey {
  /** The fingerprint of the public key. */
  id: string
  /** For browsers: 65 bytes in base64url. */
  publicKey: string
  /** 32 bytes in base64url. */
  privateKey: string
}

export interface VapidKeys {
  /** The one for new subscriptions. */
  current: VapidKey
  /** Undefined when this server has it no longer. */
  byId: (id: string) => VapidKey | undefined
}
