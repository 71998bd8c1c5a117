import { hash } from '@node-rs/argon2'

/** What everybody logs in with. */
export const PASSWORD = 'correct horse battery staple'

/** Hashed as the server does: src/accounts/passwords.ts. */
export const passwordHash = () => hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
