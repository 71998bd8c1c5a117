/**
 * A name as accounts have it: ASCII letters are lower-cased. Nothing else is folded: U+212A, the Kelvin sign,
 * would become a k, and the name of somebody else.
 */
export const toUsername = (typed: string): string =>
  typed.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
