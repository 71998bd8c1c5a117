import { resolve } from 'node:path'
import { closestName } from '../closest-name.ts'
import {
  type Config,
  configFrom,
  type Environment,
  knownNames,
  namesWithSecrets,
  type Values,
} from '../config.ts'
import { ENV_FILE, readEnvFile } from './env-file.ts'

/**
 * Reads the settings from environment variables, and those that are not set there from `.env`.
 *
 * @param env the variables of the process
 * @param folder that of `.env`, which may be missing
 */
export function readEnvironment(env: Values, folder = '.'): Environment {
  const path = resolve(folder, ENV_FILE)
  const file = readEnvFile(path, knownNames)
  const values = Object.fromEntries(
    knownNames.map((name) => [name, env[name] || file.values.get(name)?.text]),
  )
  const used = [...file.values].filter(([name, { text }]) => text && !env[name])
  const secrets = namesWithSecrets(
    Object.fromEntries([...file.values].map(([name, { text }]) => [name, text])),
  )
  const openFileWarning = `Other users can read ${path}, which contains a secret (${secrets.join(', ')}). As its owner, run chmod 600 on it.`
  return {
    values,
    lines: new Map(used.map(([name, { line }]) => [name, line])),
    errors: file.errors,
    warnings: [
      ...[...file.unknown].map(([name, line]) =>
        [`${ENV_FILE}, line ${line}: ${name} is unknown and ignored.`, suggestion(name, values)]
          .join(' ')
          .trim(),
      ),
      ...misspeltNames(env, values),
      ...(file.isOpen && secrets.length > 0 ? [openFileWarning] : []),
    ],
  }
}

/**
 * Reads the configuration of the server, for the server and the command.
 *
 * @throws ConfigurationError that lists all errors
 */
export function loadConfig(env: Values): Environment & { config: Config } {
  const environment = readEnvironment(env)
  return { ...environment, config: configFrom(environment) }
}

/** Shorter names resemble those of other programs too often. */
const LETTERS_MIN = 6

/** Variables of npm, and those that Kubernetes and Docker set for linked services. */
const FOREIGN = /^npm_|_PORT$|_PORT_|_SERVICE_HOST$/i

/** Warnings about variables that look like misspelt settings; they may belong to other programs. */
function misspeltNames(env: Values, values: Values): string[] {
  return Object.keys(env)
    .filter((name) => env[name] && !knownNames.includes(name) && !FOREIGN.test(name))
    .map((name) => ({ name, question: suggestion(name, values) }))
    .filter(({ question }) => question)
    .map(({ name, question }) => `${name} is unknown and ignored. ${question}`)
}

/** A question that names the closest setting that is not set, or an empty text. */
function suggestion(name: string, values: Values): string {
  const candidates = knownNames.filter((known) => known.length >= LETTERS_MIN && !values[known])
  const near = name.length >= LETTERS_MIN && closestName(name, candidates)
  return near ? `Did you mean ${near}?` : ''
}
