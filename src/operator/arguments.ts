import { ConfigurationError } from '../config.ts'
import { version } from './version.ts'

/**
 * What the server answers to its arguments instead of starting. An option that is ignored in silence would be
 * believed to hold.
 *
 * @param given behind the name of the program
 * @returns undefined when there are none
 * @throws ConfigurationError for any that is not known
 */
export function answerTo(given: readonly string[]): string | undefined {
  const [first, ...others] = given
  if (first === undefined) return undefined
  if (others.length === 0 && first === '--version') return version()
  if (others.length === 0 && ['--help', '-h'].includes(first)) return help()
  throw new ConfigurationError(
    given.map(
      (argument) =>
        `${JSON.stringify(argument)} is not known: the server takes no arguments, but environment variables (README.md, "Configuration").`,
    ),
  )
}

const help = () => `Restante ${version()}: one-to-one messages over plain HTTP.

Usage: npm start, or node dist/main.js

Settings are environment variables, and lines of .env in the working directory, which variables override:
  PORT=8080 DATABASE_URL=file:/var/lib/restante/restante.db npm start
.env.example has them all with their defaults; README.md, "Configuration", says what each of them means.

Options:
  -h, --help   this text
  --version    the version`
