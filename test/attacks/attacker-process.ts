/** The attacker runs in a process of its own, so that its work does not slow the normal client. */
import { setMaxListeners } from 'node:events'
import { type AttackName, attacks, type Target } from './attacks.ts'
import { noCounts } from './wire.ts'

let stop = new AbortController()

/** `[name, target]` starts an attack. `"stop"` ends it, and is answered with its counts. */
process.on('message', async (message: [AttackName, Target] | 'stop') => {
  if (message === 'stop') {
    stop.abort()
    return
  }
  const [name, target] = message
  stop = new AbortController()
  // Each connection listens.
  setMaxListeners(0, stop.signal)
  const counts = noCounts()
  await attacks[name](target, counts, stop.signal)
  process.send?.(counts)
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
