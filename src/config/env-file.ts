import { isUtf8 } from 'node:buffer'
import { parseEnv } from 'node:util'
import { readOperatorsFile, UnsafeFile } from '../private-files.ts'

export const ENV_FILE = '.env'

/** The content of a `.env`. */
export interface EnvFile {
  /** The known names that are set in it. */
  readonly values: ReadonlyMap<string, { readonly text: string; readonly line: number }>
  /** Unknown names, with their lines. */
  readonly unknown: ReadonlyMap<string, number>
  /** One sentence per error, without the values. */
  readonly errors: readonly string[]
  /** Whether users other than its owner can read it. */
  readonly isOpen: boolean
}

/** @param path of a file that may be missing */
export function readEnvFile(path: string, knownNames: readonly string[]): EnvFile {
  const unreadable = (error: string) => ({
    values: new Map(),
    unknown: new Map(),
    errors: [error],
    isOpen: false,
  })
  try {
    const { content, isOpen } = readOperatorsFile(path) ?? { content: Buffer.of(), isOpen: false }
    if (!isUtf8(content) || content.includes(0))
      return unreadable(`${path}: Expected UTF-8. Save it as UTF-8: Windows PowerShell writes UTF-16.`)
    return { ...readLines(content.toString(), knownNames), isOpen }
  } catch (error) {
    if (!(error instanceof UnsafeFile || (error instanceof Error && 'code' in error))) throw error
    return unreadable(`${path} cannot be read: ${error.message}`)
  }
}

/**
 * Checks each line before Node's parser sees it, because that parser silently skips or joins what it does not
 * understand, differently in each version. A quote must end on its line, so a missing one hides no other
 * lines.
 */
function readLines(text: string, knownNames: readonly string[]) {
  const values = new Map<string, { text: string; line: number }>()
  const unknown = new Map<string, number>()
  const errors: string[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  for (const [index, content] of lines.entries()) {
    if (/^\s*(#|$)/.test(content)) continue
    const line = index + 1
    const addError = (sentence: string) => errors.push(`${ENV_FILE}, line ${line}: ${sentence}`)
    const [, name, written = ''] = /^\s*(?:export\s+)?([\w.-]+)\s*=(.*)$/.exec(content) ?? []
    if (name === undefined) {
      addError('Expected NAME=value, or # before a comment.')
      continue
    }
    if (!knownNames.includes(name)) {
      unknown.set(name, line)
      continue
    }
    const earlier = values.get(name)
    const fault = earlier ? `It is already set in line ${earlier.line}.` : ambiguityIn(written)
    if (fault) addError(`${name}: ${fault}`)
    else values.set(name, { text: parseEnv(`${name}=${written.trim()}`)[name] ?? '', line })
  }
  return { values, unknown, errors }
}

/** Refuses values that other programs would parse differently. */
function ambiguityIn(written: string): string | undefined {
  const value = written.trim()
  const [quote = ''] = /^["'`]/.exec(value) ?? []
  if (quote !== "'" && /\$[\w{(]/.test(value))
    return '"$" is literal here, but begins a variable in other programs: put the value in single quotes.'
  if (!quote)
    return /[^\s#]#|^#/.test(written)
      ? '"#" begins a comment: put the value in quotes, or a space before "#".'
      : undefined
  const end = value.indexOf(quote, 1)
  if (end < 0) return `The quote (${quote}) does not end on its line.`
  return /^\s*(#|$)/.test(value.slice(end + 1))
    ? undefined
    : `There is text after the closing quote (${quote}).`
}
