/**
 * Normalises a name: ASCII letters are lower-cased, nothing else is folded. U+212A, the Kelvin sign, would
 * become a k, and the name of another account.
 */
export const toUsername = (typed: string): string =>
  typed.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
