/**
 * localStorage below a prefix. What it does not take is kept in this tab only: it may be forbidden, or full.
 */
export class Keys {
  readonly #prefix: string
  readonly #own = new Map<string, string>()
  readonly #storage: Storage | undefined

  constructor(prefix: string) {
    this.#prefix = prefix
    try {
      this.#storage = localStorage
    } catch {
      // The user has forbidden it.
    }
  }

  get(name: string): string | undefined {
    return this.#own.get(name) ?? this.#storage?.getItem(this.#prefix + name) ?? undefined
  }

  set(name: string, value: string) {
    this.#own.delete(name)
    try {
      if (this.#storage) return this.#storage.setItem(this.#prefix + name, value)
    } catch {
      // The older value must not come back with the next start.
      this.#storage?.removeItem(this.#prefix + name)
    }
    this.#own.set(name, value)
  }

  delete(name: string) {
    this.#own.delete(name)
    this.#storage?.removeItem(this.#prefix + name)
  }

  /** The names that begin so, without that beginning. */
  startingWith(beginning: string): string[] {
    const prefix = this.#prefix + beginning
    const names = Object.keys(this.#storage ?? {}).filter((name) => name.startsWith(prefix))
    return [...names.map((name) => name.slice(prefix.length)), ...this.#ownNames(beginning)]
  }

  #ownNames(beginning: string): string[] {
    const names = [...this.#own.keys()].filter((name) => name.startsWith(beginning))
    return names.map((name) => name.slice(beginning.length))
  }
}
