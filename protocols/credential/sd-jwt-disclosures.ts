/**
 * Selective disclosure, RFC 9901 §4.2 and §7.1: claims hidden behind salted digests, and claims put back from the
 * disclosures that a holder chose to show.
 *
 * A hidden member leaves its digest in `_sd` of its object, a hidden array element leaves `{"...": digest}` in
 * its place, and its text goes into a disclosure, base64url of `[salt, name, value]` or `[salt, value]`. What is hidden
 * may hold hidden things itself.
 *
 * Claims are named by JSON Pointer (RFC 6901). An element's index is that in the claims at hand: elements that are not
 * disclosed leave no gap.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { isJsonObject, JSON_DEPTH_MAX, type JsonObject, type JsonValue } from './json.ts'
import type { ProofCrypto } from './crypto.ts'
import { decodeJson, encodeJson, SdJwtRefusal, shown } from './sd-jwt-token.ts'

/** Most disclosures in one SD-JWT: a marksheet of 200 rows hidden field by field has about 1,000. */
export const DISCLOSURES_MAX = 1_000

/** Bytes of a salt: 128 bits, RFC 9901 §9.3. It is all that keeps a hidden name or date from being guessed. */
const SALT_BYTES = 16

const DIGESTS = '_sd'
const ELEMENT = '...'

/** Names the hash, at the top of the payload. */
export const ALGORITHM = '_sd_alg'

/** Names that carry digests and can be no claim's own, RFC 9901 §4.1. */
const STRUCTURE: ReadonlySet<string> = new Set([DIGESTS, ELEMENT])

/** Hash of a disclosure or a presentation, as base64url. */
export type Digest = (text: string) => string

/** A disclosure that found its place. */
export interface Revealed {
  /** Where its claim is, in the claims as they were put together. */
  readonly pointer: string
  /** The disclosure as it stands in the text. */
  readonly text: string
}

interface Disclosure {
  readonly text: string
  /** undefined for an array element. */
  readonly name: string | undefined
  readonly value: JsonValue
}

const UTF8 = new TextEncoder()

/**
 * The hash named by `_sd_alg` (RFC 9901 §4.1.1); undefined means sha-256.
 *
 * @throws SdJwtRefusal `algorithm-unsupported` for others than sha-256 and sha-384.
 */
export function digestOf(algorithm: unknown, crypto: ProofCrypto): Digest {
  if (algorithm === undefined || algorithm === 'sha-256') {
    return (text) => base64urlnopad.encode(crypto.sha256(UTF8.encode(text)))
  }
  if (algorithm === 'sha-384')
    return (text) => base64urlnopad.encode(crypto.sha384(UTF8.encode(text)))
  throw new SdJwtRefusal(
    'algorithm-unsupported',
    `_sd_alg ${shown(algorithm)}; sha-256 and sha-384 are read`
  )
}

/**
 * Hides claims.
 *
 * @param pointers the members and elements that get a disclosure of their own; a hidden one may be inside another.
 * @throws SdJwtRefusal `claims-malformed` for a pointer that leads to nothing, `claim-reserved`, `limit-exceeded`.
 */
export function hideClaims(
  claims: JsonObject,
  pointers: readonly string[],
  tools: { readonly digest: Digest; readonly random: (sizeBytes: number) => Uint8Array }
): { readonly claims: JsonObject; readonly disclosures: readonly string[] } {
  const hidden = new Set(pointers)
  if (hidden.size > DISCLOSURES_MAX) throw tooMany(hidden.size)
  // Drawn at once: one call to the system costs as much as ten hashes.
  const salts = tools.random(hidden.size * SALT_BYTES)
  const disclosures: string[] = []

  function disclosed(...content: readonly JsonValue[]): string {
    const at = disclosures.length * SALT_BYTES
    const salt = base64urlnopad.encode(salts.subarray(at, at + SALT_BYTES))
    const text = encodeJson([salt, ...content])
    disclosures.push(text)
    return tools.digest(text)
  }

  function hideIn(value: JsonValue, pointer: string): JsonValue {
    if (isJsonObject(value)) return hideInObject(value, pointer)
    if (!Array.isArray(value)) return value
    return value.map((element: JsonValue, index) => {
      const at = `${pointer}/${index}`
      const inner = hideIn(element, at)
      return hidden.delete(at) ? { [ELEMENT]: disclosed(inner) } : inner
    })
  }

  function hideInObject(value: JsonObject, pointer: string): JsonObject {
    const members: [string, JsonValue][] = []
    const digests: string[] = []
    for (const [name, member] of Object.entries(value)) {
      if (STRUCTURE.has(name)) throw reserved(name)
      const at = `${pointer}/${escaped(name)}`
      const inner = hideIn(member, at)
      if (hidden.delete(at)) digests.push(disclosed(name, inner))
      else members.push([name, inner])
    }
    // In the order of the digests: that of the claims would tell which one is which, RFC 9901 §4.2.4.1.
    if (digests.length > 0) members.push([DIGESTS, digests.toSorted()])
    return Object.fromEntries(members)
  }

  const result = hideInObject(claims, '')
  const [lost] = hidden
  if (lost !== undefined) {
    throw new SdJwtRefusal('claims-malformed', `no claim is at ${shown(lost)}, so none is hidden`)
  }
  return { claims: result, disclosures }
}

/**
 * Puts disclosed claims back, RFC 9901 §7.1 steps 3 to 5. What is not disclosed leaves no trace in the result.
 *
 * @param payload the issuer's, verified before what comes out is believed.
 * @param fixed names at the top that may not come from a disclosure.
 * @throws SdJwtRefusal for everything the RFC rejects: a digest that stands twice, a disclosure that no
 * digest stands for, one of a claim that is there already, and malformed ones.
 */
export function revealClaims(
  payload: JsonObject,
  texts: readonly string[],
  { digest, fixed }: { readonly digest: Digest; readonly fixed: ReadonlySet<string> }
): { readonly claims: JsonObject; readonly revealed: readonly Revealed[] } {
  if (texts.length > DISCLOSURES_MAX) throw tooMany(texts.length)
  const waiting = new Map<string, Disclosure>()
  for (const [index, text] of texts.entries()) {
    const name = digest(text)
    if (waiting.has(name)) {
      throw new SdJwtRefusal('disclosure-repeated', `disclosure ${index + 1} stands there twice`)
    }
    waiting.set(name, parseDisclosure(text, index))
  }
  const revealing = new Revealing(waiting, fixed)
  const claims = revealing.claims(payload)
  const [unused] = waiting.values()
  if (unused !== undefined) {
    throw new SdJwtRefusal(
      'disclosure-unused',
      `disclosure ${texts.indexOf(unused.text) + 1} of ${texts.length} fits no digest of the issuer`
    )
  }
  return { claims, revealed: revealing.revealed }
}

/** One pass over payload and disclosures. */
class Revealing {
  readonly revealed: Revealed[] = []
  readonly #waiting: Map<string, Disclosure>
  readonly #fixed: ReadonlySet<string>
  readonly #digests = new Set<string>()

  /** @param waiting disclosures by digest; those that find their place are taken out. */
  constructor(waiting: Map<string, Disclosure>, fixed: ReadonlySet<string>) {
    this.#waiting = waiting
    this.#fixed = fixed
  }

  claims(payload: JsonObject): JsonObject {
    return this.#object(payload, '', 1)
  }

  /** Disclosures nest, so the depth of each alone says nothing about that of the whole. */
  #value(value: JsonValue, pointer: string, depth: number): JsonValue {
    if (typeof value !== 'object' || value === null) return value
    if (depth > JSON_DEPTH_MAX) {
      throw new SdJwtRefusal('limit-exceeded', `claims nested deeper than ${JSON_DEPTH_MAX} levels`)
    }
    return isJsonObject(value)
      ? this.#object(value, pointer, depth)
      : this.#array(value, pointer, depth)
  }

  #object(value: JsonObject, pointer: string, depth: number): JsonObject {
    const members = new Map<string, JsonValue>()
    for (const [name, member] of Object.entries(value)) {
      if (name === DIGESTS) continue
      if (name === ELEMENT) throw reserved(name)
      // The name of the hash is no claim, RFC 9901 §7.1 step 3.
      if (name === ALGORITHM && pointer === '') continue
      members.set(name, this.#value(member, `${pointer}/${escaped(name)}`, depth + 1))
    }
    for (const digest of digestsIn(value, pointer)) {
      const disclosure = this.#take(digest)
      if (disclosure === undefined) continue
      const name = this.#nameOf(disclosure, pointer)
      if (members.has(name)) {
        throw new SdJwtRefusal('claim-repeated', `${shown(name)} is disclosed and there already`)
      }
      const at = `${pointer}/${escaped(name)}`
      this.revealed.push({ pointer: at, text: disclosure.text })
      members.set(name, this.#value(disclosure.value, at, depth + 1))
    }
    // fromEntries and not assignment: a claim named `__proto__` stays a claim.
    return Object.fromEntries(members)
  }

  #nameOf(disclosure: Disclosure, pointer: string): string {
    const { name } = disclosure
    if (name === undefined) {
      throw new SdJwtRefusal('disclosure-malformed', 'an array element is disclosed as a claim')
    }
    if (STRUCTURE.has(name)) throw reserved(name)
    if (pointer === '' && (name === ALGORITHM || this.#fixed.has(name))) {
      throw new SdJwtRefusal('claim-reserved', `${shown(name)} may not come from a disclosure`)
    }
    return name
  }

  #array(value: readonly JsonValue[], pointer: string, depth: number): JsonValue[] {
    const elements: JsonValue[] = []
    for (const element of value) {
      const at = `${pointer}/${elements.length}`
      if (!isJsonObject(element) || !Object.hasOwn(element, ELEMENT)) {
        elements.push(this.#value(element, at, depth + 1))
        continue
      }
      const disclosure = this.#take(elementDigest(element, pointer))
      if (disclosure === undefined) continue
      if (disclosure.name !== undefined) {
        throw new SdJwtRefusal('disclosure-malformed', 'a claim is disclosed as an array element')
      }
      this.revealed.push({ pointer: at, text: disclosure.text })
      elements.push(this.#value(disclosure.value, at, depth + 1))
    }
    return elements
  }

  /** The disclosure behind a digest; undefined when it was not shown, or is a decoy. */
  #take(digest: string): Disclosure | undefined {
    if (this.#digests.has(digest)) {
      throw new SdJwtRefusal('digest-repeated', `the digest ${shown(digest)} stands twice`)
    }
    this.#digests.add(digest)
    const disclosure = this.#waiting.get(digest)
    this.#waiting.delete(digest)
    return disclosure
  }
}

function parseDisclosure(text: string, index: number): Disclosure {
  const what = `disclosure ${index + 1}`
  const content = decodeJson(text, 'disclosure-malformed', what)
  if (!Array.isArray(content) || content.length < 2 || content.length > 3) {
    throw new SdJwtRefusal('disclosure-malformed', `${what} is not an array of two or three`)
  }
  // The salt may be any JSON (§4.2.1): it does its work by being hashed.
  const [, second = null, third = null]: readonly JsonValue[] = content
  if (content.length === 2) return { text, name: undefined, value: second }
  if (typeof second !== 'string') {
    throw new SdJwtRefusal('disclosure-malformed', `the name in ${what} is not a text`)
  }
  return { text, name: second, value: third }
}

function digestsIn(value: JsonObject, pointer: string): readonly string[] {
  if (!Object.hasOwn(value, DIGESTS)) return []
  const digests = value[DIGESTS]
  if (!Array.isArray(digests) || !digests.every((digest) => typeof digest === 'string')) {
    throw new SdJwtRefusal('claims-malformed', `_sd in ${shown(pointer)} is not an array of texts`)
  }
  return digests
}

function elementDigest(element: JsonObject, pointer: string): string {
  const digest = element[ELEMENT]
  if (typeof digest !== 'string' || Object.keys(element).length !== 1) {
    throw new SdJwtRefusal('claims-malformed', `a hidden element in ${shown(pointer)} is malformed`)
  }
  return digest
}

/** One step of a JSON Pointer, RFC 6901 §3. */
function escaped(name: string): string {
  return name.includes('~') || name.includes('/')
    ? name.replaceAll('~', '~0').replaceAll('/', '~1')
    : name
}

function reserved(name: string): SdJwtRefusal {
  return new SdJwtRefusal('claim-reserved', `no claim may be named ${shown(name)}`)
}

function tooMany(count: number): SdJwtRefusal {
  return new SdJwtRefusal('limit-exceeded', `${count} disclosures, at most ${DISCLOSURES_MAX}`)
}
