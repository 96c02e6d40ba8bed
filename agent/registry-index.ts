/**
 * Which records have a value in a search field. Somebody else's message makes the agent look, so looking must
 * not cost a walk over the whole register.
 *
 * @module
 */

/** Record ids by value, one map for each search field; the empty text is nobody's value. */
export class RegistryIndex {
  /** A single id stands for itself: nearly all values are one record's. */
  readonly #fields: ReadonlyArray<Map<string, string | Set<string>>>

  constructor(fields: number) {
    this.#fields = Array.from({ length: fields }, () => new Map<string, string | Set<string>>())
  }

  /** `values`: one text for each search field, in order. */
  add(id: string, values: readonly string[]): void {
    for (const [field, value] of values.entries()) {
      const ids = this.#fields[field]
      if (ids === undefined || value === '') continue
      const held = ids.get(value)
      if (held === undefined) ids.set(value, id)
      else if (typeof held === 'string') ids.set(value, new Set([held, id]))
      else held.add(id)
    }
  }

  remove(id: string, values: readonly string[]): void {
    for (const [field, value] of values.entries()) {
      const ids = this.#fields[field]
      const held = ids?.get(value)
      if (held === id) ids?.delete(value)
      else if (held instanceof Set) held.delete(id)
    }
  }

  /** Records with this value in this field; none for a field there is not. */
  ids(field: number, value: string): ReadonlySet<string> {
    const held = this.#fields[field]?.get(value)
    return held instanceof Set ? held : new Set(held === undefined ? [] : [held])
  }
}
