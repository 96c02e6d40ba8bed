/**
 * The canonical RDF form of a document (RDF Dataset Canonicalization 1.0), which eddsa-rdfc-2022 and
 * Ed25519Signature2020 sign, through jsonld and rdf-canonize.
 *
 * A signature over RDF covers what the names of a document mean, not how they are written. Whoever
 * holds a credential could therefore write `validUntil` as the IRI it stands for, or under an alias of their own, and
 * the signature would still fit while a reader of JSON finds no end of validity. So the document is read only in the one form
 * that leaves no choice: its contexts are bundled ones (contexts.ts) named by URL at the top, and every member and
 * every type in it is a term of theirs, never an IRI, a keyword or a prefix. `contexts.test.ts` holds that no two terms of the
 * bundled contexts mean the same.
 *
 * What RDF itself leaves open stays open: the order of an array, an element that stands twice in it, and a member that is null
 * are not covered. eddsa-jcs-2022 covers every character.
 *
 * @module
 */
// oxlint-disable-next-line typescript/triple-slash-reference -- the page's own tsconfig.json does not include it.
/// <reference path="./jsonld.d.ts" />
import { bytesToHex } from '@noble/hashes/utils.js'
import jsonld from 'jsonld'
import { BUNDLED_CONTEXTS, bundledContext } from './contexts.ts'
import type { ProofCrypto } from './crypto.ts'
import { isJsonObject, jsonFault, type JsonObject, type JsonValue } from './json.ts'

/**
 * Most work for one document and all its proofs: one digest is 1, and 100 characters of canonical text are 1. A credential
 * of 10 claims takes about 40; one made of nodes that look alike ("poison graph", RDF Dataset Canonicalization
 * §7.1) would take exponentially much. At 3 µs each this is 0.2 s.
 */
const WORK_MAX = 50_000

const CHARACTERS_PER_WORK = 100

/** Most comparisons of nodes in depth, for each of which rdf-canonize copies what it has named so far. */
const DEEP_ITERATIONS_MAX = 2_000

/** What has been done for one document, counted on over all its proofs. */
export interface RdfWork {
  done: number
}

/** Members of a JSON-LD value object (JSON-LD 1.1 §9.5): the one use of keywords that VCDM 2.0 §11.1 has. */
const VALUE_MEMBERS: ReadonlySet<string> = new Set(['@value', '@language', '@direction'])

type RdfFault = 'context-unknown' | 'term-undefined' | 'proof-malformed' | 'limit-exceeded'

export type CanonicalRdf =
  | { readonly ok: true; /** N-Quads, sorted. */ readonly text: string }
  | { readonly ok: false; readonly fault: RdfFault; readonly reason: string }

type RdfRefusal = Extract<CanonicalRdf, { ok: false }>

/** The canonical N-Quads of a document. Loads nothing from anywhere. */
export async function canonicalRdf(
  document: JsonObject,
  crypto: Pick<ProofCrypto, 'sha256'>,
  work: RdfWork = { done: 0 }
): Promise<CanonicalRdf> {
  const large = jsonFault(document)
  if (large !== undefined) return refused('limit-exceeded', large)
  if (work.done >= WORK_MAX) return faultOf(new WorkExceeded())
  const fault = contextsFault(document['@context']) ?? membersFault(document, '')
  if (fault !== undefined) return fault
  const options = {
    algorithm: 'RDFC-1.0',
    safe: true,
    // Without it safe mode refuses the `@direction` of a name (VCDM 2.0 §11.1).
    rdfDirection: 'i18n-datatype',
    documentLoader,
    canonizeOptions: {
      maxDeepIterations: DEEP_ITERATIONS_MAX,
      createMessageDigest: () => new Digest(crypto, work)
    }
  } as const
  try {
    const text = await jsonld.canonize(document, options)
    work.done += Math.ceil(text.length / CHARACTERS_PER_WORK)
    return text === '' ? refused('proof-malformed', 'it says nothing in RDF') : { ok: true, text }
  } catch (cause) {
    const refusal = faultOf(cause)
    // One document beyond the limit is not tried again for its next proof.
    if (refusal.fault === 'limit-exceeded') work.done = WORK_MAX
    return refusal
  }
}

/** The hash rdf-canonize works with; stops when the document has used up its work. */
class Digest {
  readonly #crypto: Pick<ProofCrypto, 'sha256'>
  #text = ''

  constructor(crypto: Pick<ProofCrypto, 'sha256'>, work: RdfWork) {
    if (work.done >= WORK_MAX) throw new WorkExceeded()
    work.done++
    this.#crypto = crypto
  }

  update(text: string): void {
    this.#text += text
  }

  digest(): string {
    return bytesToHex(this.#crypto.sha256(new TextEncoder().encode(this.#text)))
  }
}

class WorkExceeded extends Error {}

/**
 * Asked only for bundled contexts, since every context is looked at before jsonld is; refuses, should one of them ever
 * name another. `static` lets jsonld keep what it made of a context: that is twice as fast.
 */
function documentLoader(url: string): Promise<{
  readonly documentUrl: string
  readonly document: JsonObject
  readonly tag: 'static'
}> {
  const document = bundledContext(url)
  if (document === undefined) return Promise.reject(new Error(`context ${url} is not bundled`))
  return Promise.resolve({ documentUrl: url, document, tag: 'static' })
}

function contextsFault(context: JsonValue | undefined): CanonicalRdf | undefined {
  if (context === undefined) return refused('context-unknown', 'it names no context')
  const entries: readonly JsonValue[] = Array.isArray(context) ? context : [context]
  for (const entry of entries) {
    if (typeof entry !== 'string') {
      return refused('context-unknown', 'a context that stands in the document itself is not known')
    }
    if (bundledContext(entry) === undefined) {
      return refused('context-unknown', `context ${entry} is not one of the known ones`)
    }
  }
  return entries.length > BUNDLED_CONTEXTS.length
    ? refused('limit-exceeded', `more than ${BUNDLED_CONTEXTS.length} contexts`)
    : undefined
}

/** What could be written in more than one way. `where` is the JSON pointer of the object. */
function membersFault(object: JsonObject, where: string): CanonicalRdf | undefined {
  const isValue = Object.hasOwn(object, '@value')
  for (const [name, value] of Object.entries(object)) {
    if (name === '@context' && where === '') continue
    if (name === '@context' && where === '/proof') {
      // An eddsa-jcs-2022 proof that a later one follows brings the contexts it was made over.
      const fault = contextsFault(value)
      if (fault !== undefined) return fault
      continue
    }
    if (name === '@context') {
      return refused('context-unknown', `a context inside ${where} is not known`)
    }
    if (name.includes(':') || (name.startsWith('@') && !(isValue && VALUE_MEMBERS.has(name)))) {
      return refused('term-undefined', `${where}/${name} is not a term of its contexts`)
    }
    // jsonld assigns members to plain objects, where this one is none: it would not be covered.
    if (name === '__proto__') return refused('term-undefined', `${where}/${name} is not a term`)
    const fault = name === 'type' ? typeFault(value, where) : valueFault(value, `${where}/${name}`)
    if (fault !== undefined) return fault
  }
  return undefined
}

function valueFault(value: JsonValue, where: string): CanonicalRdf | undefined {
  if (Array.isArray(value)) {
    for (const element of value) {
      const fault = valueFault(element, where)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  return isJsonObject(value) ? membersFault(value, where) : undefined
}

function typeFault(value: JsonValue, where: string): CanonicalRdf | undefined {
  for (const type of Array.isArray(value) ? value : [value]) {
    if (typeof type !== 'string' || type.includes(':')) {
      return refused('term-undefined', `type ${String(type)} of ${where || 'it'} is not a term`)
    }
  }
  return undefined
}

function faultOf(cause: unknown): RdfRefusal {
  if (cause instanceof WorkExceeded) {
    return refused('limit-exceeded', 'its canonical form takes more work than a credential does')
  }
  if (!(cause instanceof Error)) throw cause
  if (cause.message.startsWith('Maximum deep iterations exceeded')) {
    return refused('limit-exceeded', `more than ${DEEP_ITERATIONS_MAX} of its nodes look alike`)
  }
  // jsonld's own errors; anything else is a fault of the program and not the document's.
  if (!cause.name.startsWith('jsonld.')) throw cause
  const event = eventOf(cause)
  return event === undefined
    ? refused('proof-malformed', `it is not JSON-LD: ${cause.message}`)
    : refused('term-undefined', event)
}

/** What safe mode refused, in words: jsonld keeps it two levels down. */
function eventOf(error: Error): string | undefined {
  const details: unknown = 'details' in error ? error.details : undefined
  if (!isObject(details) || !isObject(details['event'])) return undefined
  const { code, details: facts } = details['event']
  const names = isObject(facts)
    ? ['expandedProperty', 'property', 'type', 'id', 'value']
        .map((name) => facts[name])
        .filter((fact) => typeof fact === 'string')
    : []
  const name = names[0]
  if (code === 'invalid property') return `${name ?? 'a member'} is not a term of its contexts`
  return name === undefined ? String(code) : `${String(code)}: ${name}`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function refused(fault: RdfFault, reason: string): RdfRefusal {
  return { ok: false, fault, reason }
}
