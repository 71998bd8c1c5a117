import { resolve } from 'node:path'
import { type Config, configFrom, type Environment, knownNames, secretNames, type Values } from '../config.ts'
import { nearest } from '../nearest.ts'
import { ENV_FILE, readEnvFile } from './env-file.ts'

/**
 * The variables of a process, and those of the `.env` in its working directory that it does not have itself.
 *
 * @param env of the process
 * @param folder where `.env` is, if there is one
 */
export function readEnvironment(env: Values, folder = '.'): Environment {
  const path = resolve(folder, ENV_FILE)
  const file = readEnvFile(path, knownNames)
  const values = Object.fromEntries(
    knownNames.map((name) => [name, env[name] || file.values.get(name)?.text]),
  )
  const used = [...file.values].filter(([name, { text }]) => text && !env[name])
  const secrets = secretNames(Object.fromEntries([...file.values].map(([name, { text }]) => [name, text])))
  const opening = `Others can read ${path}, which has a secret (${secrets.join(', ')}). Close it to them: chmod 600, by its owner.`
  return {
    values,
    lines: new Map(used.map(([name, { line }]) => [name, line])),
    mistakes: file.mistakes,
    warnings: [
      ...[...file.unknown].map(([name, line]) =>
        [`${ENV_FILE}, line ${line}: ${name} is not known, and ignored.`, meant(name, values)]
          .join(' ')
          .trim(),
      ),
      ...slips(env, values),
      ...(file.isOpen && secrets.length > 0 ? [opening] : []),
    ],
  }
}

/**
 * The configuration of the server, for it and for the programs beside it.
 *
 * @throws ConfigurationError naming every mistake at once
 */
export function loadConfig(env: Values): Environment & { config: Config } {
  const environment = readEnvironment(env)
  return { ...environment, config: configFrom(environment) }
}

/** Shorter names are near to those of others. */
const LETTERS_MIN = 6

/** Of npm, and of the services that Kubernetes and Docker tell every container about. */
const OF_OTHERS = /^npm_|_PORT$|_PORT_|_SERVICE_HOST$/i

/** Variables that are nearly one of ours. Only a warning: others may have their reasons. */
function slips(env: Values, values: Values): string[] {
  return Object.keys(env)
    .filter((name) => env[name] && !knownNames.includes(name) && !OF_OTHERS.test(name))
    .map((name) => ({ name, question: meant(name, values) }))
    .filter(({ question }) => question)
    .map(({ name, question }) => `${name} is not known, and ignored. ${question}`)
}

/** @returns a question, or nothing where none of our names is near that is not set itself */
function meant(name: string, values: Values): string {
  const candidates = knownNames.filter((known) => known.length >= LETTERS_MIN && !values[known])
  const near = name.length >= LETTERS_MIN && nearest(name, candidates)
  return near ? `Is ${near} meant?` : ''
}
