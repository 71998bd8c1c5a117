import type { PasswordCost } from './accounts/passwords.ts'
import type { Contract } from './contract/document.ts'
import type { ConnectionLimits } from './http/connections.ts'
import type { PushOptions } from './open-push.ts'

/** What `createServer` needs from its process, or from a test. */
export interface ServerOptions {
  env: Readonly<Record<string, string | undefined>>
  /** Warnings from reading `env`, for the log. */
  warnings?: readonly string[]
  logTo: NodeJS.WritableStream
  /** Called when the database thread has died. The outcome of in-flight writes is unknown: exit. */
  onFatal: (error: Error) => void
  /** For tests: a cheap hash, since they hash many passwords. */
  passwordCost?: PasswordCost
  /** For tests: shorter time limits. */
  connectionLimits?: Partial<ConnectionLimits>
  /** For tests that start many servers: reading the contract takes a third of a start. */
  contract?: Contract
  /** For tests: a push service on this machine. */
  pushOptions?: PushOptions
}
