import { isUtf8 } from 'node:buffer'
import { parseEnv } from 'node:util'
import { readOperatorsFile, UnsafeFile } from '../private-files.ts'

export const ENV_FILE = '.env'

/** What a `.env` has. */
export interface EnvFile {
  /** The known names that are set in it. */
  readonly values: ReadonlyMap<string, { readonly text: string; readonly line: number }>
  /** The other names, with their lines. */
  readonly unknown: ReadonlyMap<string, number>
  /** What is wrong with it, one sentence each, without what is written there. */
  readonly mistakes: readonly string[]
  /** Whether others than its owner can read it. */
  readonly isOpen: boolean
}

/** @param path of a file that need not be there */
export function readEnvFile(path: string, knownNames: readonly string[]): EnvFile {
  const broken = (mistake: string) => ({
    values: new Map(),
    unknown: new Map(),
    mistakes: [mistake],
    isOpen: false,
  })
  try {
    const { content, isOpen } = readOperatorsFile(path) ?? { content: Buffer.of(), isOpen: false }
    if (!isUtf8(content) || content.includes(0))
      return broken(`${path}: Expected text in UTF-8. Save it as that: Windows PowerShell writes UTF-16.`)
    return { ...readLines(content.toString(), knownNames), isOpen }
  } catch (error) {
    if (!(error instanceof UnsafeFile || (error instanceof Error && 'code' in error))) throw error
    return broken(`${path} cannot be read: ${error.message}`)
  }
}

/**
 * A line is judged before Node's parser sees it, and each alone, because that parser skips or joins what it
 * does not understand, in silence and differently in each version. Quotes over several lines are refused, so
 * that one that is missing does not hide the lines behind it.
 */
function readLines(text: string, knownNames: readonly string[]) {
  const values = new Map<string, { text: string; line: number }>()
  const unknown = new Map<string, number>()
  const mistakes: string[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  for (const [index, content] of lines.entries()) {
    if (/^\s*(#|$)/.test(content)) continue
    const line = index + 1
    const mistake = (sentence: string) => mistakes.push(`${ENV_FILE}, line ${line}: ${sentence}`)
    const [, name, written = ''] = /^\s*(?:export\s+)?([\w.-]+)\s*=(.*)$/.exec(content) ?? []
    if (name === undefined) {
      mistake('Expected NAME=value, or # before a comment.')
      continue
    }
    if (!knownNames.includes(name)) {
      unknown.set(name, line)
      continue
    }
    const earlier = values.get(name)
    const fault = earlier ? `It is set in line ${earlier.line}, too.` : faultIn(written)
    if (fault) mistake(`${name}: ${fault}`)
    else values.set(name, { text: parseEnv(`${name}=${written.trim()}`)[name] ?? '', line })
  }
  return { values, unknown, mistakes }
}

/** What others would read in another way than it looks. */
function faultIn(written: string): string | undefined {
  const value = written.trim()
  const [quote = ''] = /^["'`]/.exec(value) ?? []
  if (quote !== "'" && /\$[\w{(]/.test(value))
    return '"$" stands for itself here, and for a variable elsewhere: put the value into single quotes.'
  if (!quote)
    return /[^\s#]#|^#/.test(written)
      ? 'A "#" begins a comment: put the value into quotes, or a space before "#".'
      : undefined
  const end = value.indexOf(quote, 1)
  if (end < 0) return `The quote (${quote}) does not end on its line.`
  return /^\s*(#|$)/.test(value.slice(end + 1))
    ? undefined
    : `There is something behind the quote (${quote}) that ends.`
}
