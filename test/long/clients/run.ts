/** Lives the life of two users with one generated client: run.ts CLIENT URL now|later */
import { type Connect, live } from './life.ts'

declare const process: { argv: string[] }

const [client, url = '', version] = process.argv.slice(2)
const { connect } = (await import(`./${client}.ts`)) as { connect: Connect }
await live(connect, url, version === 'later')
