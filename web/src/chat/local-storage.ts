/** localStorage with a prefix. Falls back to the memory of this tab when it is forbidden or full. */
export class LocalStorage {
  readonly #prefix: string
  readonly #memory = new Map<string, string>()
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
    return this.#memory.get(name) ?? this.#storage?.getItem(this.#prefix + name) ?? undefined
  }

  set(name: string, value: string) {
    this.#memory.delete(name)
    try {
      if (this.#storage) return this.#storage.setItem(this.#prefix + name, value)
    } catch {
      // Remove the older value, so it does not come back after a reload.
      this.#storage?.removeItem(this.#prefix + name)
    }
    this.#memory.set(name, value)
  }

  delete(name: string) {
    this.#memory.delete(name)
    this.#storage?.removeItem(this.#prefix + name)
  }

  /** The names with this beginning, which is removed. */
  startingWith(beginning: string): string[] {
    const prefix = this.#prefix + beginning
    const names = Object.keys(this.#storage ?? {}).filter((name) => name.startsWith(prefix))
    return [...names.map((name) => name.slice(prefix.length)), ...this.#memoryNames(beginning)]
  }

  #memoryNames(beginning: string): string[] {
    const names = [...this.#memory.keys()].filter((name) => name.startsWith(beginning))
    return names.map((name) => name.slice(beginning.length))
  }
}
