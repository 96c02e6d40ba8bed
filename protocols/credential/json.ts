/**
 * JSON from outside, and how much of it is read. Deep nesting overflows the stack of whatever walks it, and
 * a document that takes long to hash takes longer to canonicalize: both are bounded before either begins.
 *
 * @module
 */

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export type JsonObject = { readonly [name: string]: JsonValue }

/** Deepest nesting read, levels: a credential with evidence and endorsements has about 8. */
export const JSON_DEPTH_MAX = 32

/** Most members and elements in one document: a register of 300 rows by 30 columns fits. */
export const JSON_KEYS_MAX = 10_000

/** Largest credential or presentation, bytes of JSON: a portrait inside a claim fits, a scan is a document. */
export const CREDENTIAL_BYTES_MAX = 262_144

/** Whether it is an object of JSON, neither an array nor null. Says nothing of what is inside. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Why a value is not JSON that is read here, in words; undefined when it is. A value that passed is plain
 * JSON: no function, no bigint, no NaN, no lone surrogate (RFC 8785 §3.2.2.2), no class of its own.
 */
export function jsonFault(value: unknown): string | undefined {
  return new Walk().fault(value, 0)
}

class Walk {
  #members = 0
  #characters = 0

  fault(value: unknown, depth: number): string | undefined {
    if (typeof value === 'string') return this.#text(value)
    if (typeof value === 'boolean' || value === null) return undefined
    if (typeof value === 'object') return this.#inside(value, depth + 1)
    if (typeof value !== 'number') return `${typeof value} is not JSON`
    return Number.isFinite(value) ? undefined : `${value} is not a number of JSON`
  }

  /** Characters, not bytes, are counted: never more of them than bytes, and nothing is encoded for it. */
  #text(text: string): string | undefined {
    this.#characters += text.length
    if (this.#characters > CREDENTIAL_BYTES_MAX) {
      return `it is larger than ${CREDENTIAL_BYTES_MAX} bytes`
    }
    return text.isWellFormed() ? undefined : 'a text holds half of a surrogate pair'
  }

  #inside(value: object, depth: number): string | undefined {
    if (depth > JSON_DEPTH_MAX) return `it is nested deeper than ${JSON_DEPTH_MAX} levels`
    if (Array.isArray(value)) {
      for (const element of value) {
        const fault = this.#member() ?? this.fault(element, depth)
        if (fault !== undefined) return fault
      }
      return undefined
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null)
      return 'an object of a class is not JSON'
    for (const [name, member] of Object.entries(value)) {
      const fault = this.#member() ?? this.#text(name) ?? this.fault(member, depth)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #member(): string | undefined {
    this.#members++
    return this.#members > JSON_KEYS_MAX ? `it has more than ${JSON_KEYS_MAX} members` : undefined
  }
}
