/** The contract as the built server reads it. Types are those of the sources. */
const load = (file: string): Promise<unknown> =>
  import(new URL(`../../dist/contract/${file}`, import.meta.url).href)

export const { readContract } = (await load('document.js')) as typeof import('../../src/contract/document.ts')
export const { validatorCompiler } = (await load(
  'validation.js',
)) as typeof import('../../src/contract/validation.ts')
