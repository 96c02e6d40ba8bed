/**
 * Verification: from what somebody shows — JSON, an SD-JWT, the text of a QR code, a PDF — to verdicts, with
 * the world looked up as protocols/credential/verdict.ts asks for it.
 *
 * What was looked up is kept, with its time: a status list for as long as it may be used again, and beyond
 * that to say since when it could not be had. Needs no vault: who verifies may have none.
 *
 * | asked for           | on-line                                      | off-line                |
 * | ------------------- | -------------------------------------------- | ----------------------- |
 * | did:key, did:peer   | computed                                     | computed                |
 * | did:web             | now; else what was kept, with its time       | what was kept, or bundle |
 * | status list         | kept for five minutes; then now; else kept   | what was kept, or bundle |
 * | schema              | as a status list                             | what was kept, or bundle |
 *
 * @module
 */
import type { Clock } from './components.ts'
import { LockerError } from './errors.ts'
import { sourcesFromBundle, type VerificationBundle } from '../protocols/credential/bundle.ts'
import type { Known, Trust, VerificationSources } from '../protocols/credential/checks.ts'
import { readCompact } from '../protocols/credential/compact.ts'
import {
  CREDENTIAL_BYTES_MAX,
  isJsonObject,
  type JsonObject
} from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { credentialInPdf, PDF_BYTES_MAX } from '../protocols/credential/pdf.ts'
import {
  judge,
  judgePresentation,
  type PresentationVerdict,
  type Verdict
} from '../protocols/credential/verdict.ts'
import type { DidDocument } from '../protocols/did/document.ts'
import { parseJsonBounded } from '../protocols/message.ts'

/** How long a status list or a schema is used again, milliseconds (DESIGN §11). */
export const LOOKED_UP_FRESH_MS = 300_000

/** Things kept of each kind; a status list has 16 to 512 KiB. */
const LOOKED_UP_MAX = 64

/** Largest status list or schema taken, bytes; what the guarded fetch answers at most. */
const ANSWER_BYTES_MAX = 512 * 1024

/** Largest input, bytes: a PDF with a scan beside the credential. */
export const VERIFIED_BYTES_MAX = PDF_BYTES_MAX

/** How a credential came. */
type Carrier = 'json' | 'sd-jwt' | 'qr' | 'pdf' | 'presentation'

export interface Verification {
  readonly carrier: Carrier
  /** One for each credential shown; a presentation has up to 16. */
  readonly verdicts: readonly Verdict[]
  /** The gravest of all. */
  readonly result: Verdict['result']
  /** The presenter's answer to the question asked; absent when none was. */
  readonly holder?: PresentationVerdict['holder']
}

interface VerifyOptions {
  /** Ask nobody: what is kept is used whatever its age, which is said. Default false. */
  readonly offline?: boolean
  /** What a presentation must have signed; without it nothing is said of who presents. */
  readonly challenge?: string
  readonly domain?: string
  /**
   * What came along with the credential, for where neither the network nor the cache has an answer.
   * `vouchedFor`: it came from the issuer itself, or out of the own records (bundle.ts).
   */
  readonly bundle?: { readonly value: VerificationBundle; readonly vouchedFor: boolean }
}

export interface Verifier {
  /**
   * Judges what was shown. A credential that is not one gets a verdict that says so.
   *
   * @throws LockerError `credential-absent` for a PDF or QR text that holds none, `request-too-large`.
   */
  verify(shown: Uint8Array | string, options?: VerifyOptions): Promise<Verification>
}

export interface VerifierComponents {
  /** Throws `did-unresolvable`. */
  readonly resolve: (did: string) => Promise<DidDocument>
  /** Guarded by the caller (DESIGN §6); undefined: nothing can be fetched. */
  readonly fetchJson?: (url: string) => Promise<Uint8Array>
  readonly clock: Clock
  /** What the owner knows of an issuer; default: nothing, so that only its domain speaks for it. */
  readonly trust?: (did: string) => Trust | undefined
  readonly name?: (did: string) => string | undefined
}

/** Methods whose documents are computed from the DID: nobody is asked, so they need no network and no cache. */
const COMPUTED = /^did:(?:key|peer|jwk):/

export function createVerifier(components: VerifierComponents): Verifier {
  return new LookingVerifier(components)
}

interface Kept {
  readonly value: unknown
  readonly asOf: Date
}

class LookingVerifier implements Verifier {
  readonly #components: VerifierComponents
  readonly #documents = new Map<string, Kept>()
  readonly #answers = new Map<string, Kept>()
  /** Answers under way: those who ask meanwhile wait for the same one. */
  readonly #asked = new Map<string, Promise<Known<unknown>>>()

  constructor(components: VerifierComponents) {
    this.#components = components
  }

  async verify(shown: Uint8Array | string, options: VerifyOptions = {}): Promise<Verification> {
    const { carrier, text } = await readShown(shown)
    const own = this.#sources(options.offline === true)
    const { bundle } = options
    const sources = bundle === undefined ? own : sourcesFromBundle(bundle.value, own, bundle)
    const presentation = carrier === 'json' ? presentationIn(text) : undefined
    if (presentation !== undefined) return presented(presentation, sources, options)
    const { challenge, domain } = options
    const holder =
      challenge === undefined
        ? {}
        : { holder: { challenge, ...(domain === undefined ? {} : { domain }) } }
    const verdict = await judge(text, sources, carrier === 'sd-jwt' ? holder : {})
    return { carrier, verdicts: [verdict], result: verdict.result }
  }

  #sources(offline: boolean): VerificationSources {
    const { clock, name, trust } = this.#components
    return {
      now: clock.now(),
      crypto: nativeProofCrypto,
      offline,
      issuerDocument: (did) => this.#document(did, offline),
      statusList: (url) => this.#answer(url, offline),
      schema: (url) => this.#answer(url, offline),
      // Whoever serves a did:web document controls that domain: resolving it is the proof.
      trust: (did) =>
        Promise.resolve(trust?.(did) ?? (this.#documents.has(did) ? 'domain-proven' : 'unknown')),
      ...(name === undefined ? {} : { name })
    }
  }

  async #document(did: string, offline: boolean): Promise<Known<DidDocument>> {
    const { clock, resolve } = this.#components
    const computed = COMPUTED.test(did)
    const kept = this.#documents.get(did)
    const cached: Known<DidDocument> =
      kept === undefined
        ? { ok: false, reason: 'it was never looked up while on-line' }
        : // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- put there below, by its schema
          { ok: true, value: kept.value as DidDocument, asOf: kept.asOf, from: 'cache' }
    if (offline && !computed) return cached
    try {
      const value = await resolve(did)
      const asOf = clock.now()
      if (!computed) keep(this.#documents, did, { value, asOf })
      return { ok: true, value, asOf, from: 'live' }
    } catch (error) {
      return cached.ok ? cached : { ok: false, reason: whyNot(error) }
    }
  }

  async #answer(url: string, offline: boolean): Promise<Known<unknown>> {
    const kept = this.#answers.get(url)
    const { clock } = this.#components
    const cached: Known<unknown> | undefined =
      kept === undefined ? undefined : { ok: true, ...kept, from: 'cache' }
    if (offline) return cached ?? { ok: false, reason: 'it was never looked up while on-line' }
    const age = kept === undefined ? Infinity : clock.now().getTime() - kept.asOf.getTime()
    if (cached !== undefined && age <= LOOKED_UP_FRESH_MS) return cached
    const live = await this.#fetched(url)
    return live.ok || cached === undefined ? live : cached
  }

  #fetched(url: string): Promise<Known<unknown>> {
    const under = this.#asked.get(url)
    if (under !== undefined) return under
    const asked = this.#fetch(url).finally(() => this.#asked.delete(url))
    this.#asked.set(url, asked)
    return asked
  }

  async #fetch(url: string): Promise<Known<unknown>> {
    const { clock, fetchJson } = this.#components
    if (fetchJson === undefined) return { ok: false, reason: 'this agent has no network' }
    try {
      const bytes = await fetchJson(url)
      const value = parseJsonBounded(bytes, { bytesMax: ANSWER_BYTES_MAX })
      const asOf = clock.now()
      keep(this.#answers, url, { value, asOf })
      return { ok: true, value, asOf, from: 'live' }
    } catch (error) {
      return { ok: false, reason: whyNot(error) }
    }
  }
}

async function presented(
  presentation: JsonObject,
  sources: VerificationSources,
  { challenge, domain }: VerifyOptions
): Promise<Verification> {
  const question =
    challenge === undefined ? undefined : { challenge, ...(domain === undefined ? {} : { domain }) }
  const { verdicts, holder, result } = await judgePresentation(presentation, sources, question)
  return { carrier: 'presentation', verdicts, holder, result }
}

/** What was shown, as the text that is judged. */
async function readShown(
  shown: Uint8Array | string
): Promise<{ readonly carrier: Carrier; readonly text: string }> {
  if (typeof shown !== 'string' && isPdf(shown)) {
    const found = await credentialInPdf(shown)
    if (!found.ok) {
      throw new LockerError('credential-absent', found.reason, { facts: { reason: found.code } })
    }
    return { carrier: 'pdf', text: new TextDecoder().decode(found.bytes) }
  }
  const size = typeof shown === 'string' ? Buffer.byteLength(shown) : shown.byteLength
  if (size > CREDENTIAL_BYTES_MAX) {
    throw new LockerError(
      'request-too-large',
      `${size} bytes; a credential has at most ${CREDENTIAL_BYTES_MAX}`
    )
  }
  const text = (typeof shown === 'string' ? shown : new TextDecoder().decode(shown)).trim()
  if (text.startsWith('ELC1:')) {
    const read = await readCompact(text)
    if (!read.ok) {
      throw new LockerError(
        'credential-absent',
        `the text of the QR code cannot be read: ${read.reason}`
      )
    }
    return { carrier: 'qr', text: JSON.stringify(read.credential) }
  }
  return { carrier: text.startsWith('{') ? 'json' : 'sd-jwt', text }
}

const PDF_MARK = Buffer.from('%PDF-')

/** Producers may put up to a kilobyte before the mark (ISO 32000-1, annex H.3.4.1). */
const PDF_MARK_WITHIN = 1024

function isPdf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, PDF_MARK_WITHIN)).includes(PDF_MARK)
}

function presentationIn(text: string): JsonObject | undefined {
  let value: unknown
  try {
    value = parseJsonBounded(Buffer.from(text), { bytesMax: CREDENTIAL_BYTES_MAX })
  } catch {
    // Judged as a credential, which says what is wrong with it.
    return undefined
  }
  if (!isJsonObject(value)) return undefined
  return [value['type']].flat().includes('VerifiablePresentation') ? value : undefined
}

function whyNot(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The newest last; the oldest goes when there are too many. */
function keep(kept: Map<string, Kept>, name: string, entry: Kept): void {
  kept.delete(name)
  kept.set(name, entry)
  const [oldest] = kept.keys()
  if (kept.size > LOOKED_UP_MAX && oldest !== undefined) kept.delete(oldest)
}
