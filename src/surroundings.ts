import type { PasswordCost } from './accounts/passwords.ts'
import type { Contract } from './contract/document.ts'
import type { ConnectionLimits } from './http/connections.ts'
import type { PushWay } from './open-push.ts'

/** What the server gets from the process that it runs in. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>
  /** About what `env` is from, for the log. */
  warnings?: readonly string[]
  logTo: NodeJS.WritableStream
  /** Called when the database is lost for good: what it was doing is unknown, so the process should end. */
  onLoss: (error: Error) => void
  /** For tests, which hash far more passwords than they are about. */
  passwordCost?: PasswordCost
  /** For tests, which cannot wait for the time limits of production. */
  connectionLimits?: Partial<ConnectionLimits>
  /** For tests, which start many servers with one configuration: to read it takes a third of a start. */
  contractRead?: Contract
  /** For tests, whose push service is on this machine. */
  pushWay?: PushWay
}
