/**
 * SD-JWT (RFC 9901) and SD-JWT VC (`dc+sd-jwt`): credentials of which a holder shows chosen claims.
 *
 *     <issuer's JWT>~<disclosure>~…~<disclosure>~[<key binding JWT>]
 *
 * | part           | signed by | holds                                                                    |
 * | -------------- | --------- | ------------------------------------------------------------------------ |
 * | issuer's JWT   | issuer    | open claims, digests of the hidden ones, `vct`, `cnf`: the holder's key  |
 * | disclosure     | -         | salt, name and value of one hidden claim; the digest is what binds it    |
 * | key binding    | holder    | `aud`, `nonce`, `iat`, and the hash of everything before it (`sd_hash`)  |
 *
 * What is read passes in this order: size, parts, type and algorithm, the issuer's signature, then disclosures, then the
 * key binding. Nothing that the issuer did not sign is taken apart further than that takes. Whether the
 * credential holds today, and who the issuer is, the verdict says (verdict.ts): the times are handed on unjudged.
 *
 * Runs in a browser too. Why this is not \@sd-jwt/core: docs/decisions/0105.
 *
 * @module
 */
import type { PublicKeyJwk } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'
import { CLOCK_SKEW_MS } from '../message.ts'
import type { ProofCrypto, ProofSigner } from './crypto.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { ALGORITHM, digestOf, hideClaims } from './sd-jwt-disclosures.ts'
import {
  ALWAYS_SHOWN,
  contentOf,
  KEY_BINDING_TYPE,
  openSdJwt,
  refuseFault,
  SD_JWT_VC_TYPES,
  splitSdJwt,
  textClaim,
  type Opened,
  type SdJwtContent
} from './sd-jwt-parts.ts'
import {
  holderKeyOf,
  parseToken,
  SD_JWT_BYTES_MAX,
  SdJwtRefusal,
  shown,
  signToken,
  verifiesToken,
  type SdJwtFault,
  type TokenKey
} from './sd-jwt-token.ts'

export interface SdJwtIssue {
  readonly signer: ProofSigner
  /** The credential's type, a URL or URN. */
  readonly vct: string
  /** The issuer's DID. */
  readonly iss: string
  /** Times are cut to whole seconds. */
  readonly iat: Date
  readonly exp?: Date
  readonly nbf?: Date
  /** What the issuer says of status lists; always shown. */
  readonly status?: JsonObject
  /** The holder's key; undefined for a credential that whoever has it may present. */
  readonly cnf?: { readonly jwk: PublicKeyJwk }
  /** JSON Pointers into the claims, of members and elements that the holder may keep back; nesting is allowed. */
  readonly disclosable: readonly string[]
  readonly random: (sizeBytes: number) => Uint8Array
}

/**
 * Issues an SD-JWT VC with all its disclosures, for the holder. Hidden claims are salted and hashed with SHA-256;
 * `kid` is the signer's verification method.
 *
 * @param claims beside the registered ones, which the options give.
 * @throws ProtocolError `credential-malformed` for claims that no reader would take: a registered or reserved
 * name, a pointer that leads to nothing, nesting beyond json.ts; `limit-exceeded` beyond
 * {@link SD_JWT_BYTES_MAX} or {@link DISCLOSURES_MAX}.
 */
export function issueSdJwt(claims: JsonObject, options: SdJwtIssue, crypto: ProofCrypto): string {
  const { signer, disclosable, random } = options
  const registered = registeredClaims(options)
  return asProtocolError(() => {
    refuseFault(claims)
    const taken = ['iat', ALGORITHM, ...ALWAYS_SHOWN].find((name) => Object.hasOwn(claims, name))
    if (taken !== undefined) {
      throw new SdJwtRefusal('claim-reserved', `${taken} is not for the claims to say`)
    }
    const digest = digestOf(undefined, crypto)
    const hidden = hideClaims(claims, disclosable, { digest, random })
    const payload = { ...registered, ...hidden.claims, [ALGORITHM]: 'sha-256' }
    // Again: what hides a claim is nested deeper than the claim was.
    refuseFault(payload)
    const header = { typ: 'dc+sd-jwt', kid: signer.verificationMethod }
    return bounded([signToken(header, payload, signer), ...hidden.disclosures, ''].join('~'))
  })
}

export interface SdJwtPresentation {
  /**
   * JSON Pointers into the claims as {@link peekSdJwt} shows them. What a claim is inside of is shown with it; what is
   * hidden inside of it is not, unless it is listed too. Open claims are always shown.
   */
  readonly disclose: readonly string[]
  /** Binds the presentation to this verifier and moment; the signer's key must be the one in `cnf`. */
  readonly keyBinding?: {
    readonly signer: ProofSigner
    /** The verifier, as it named itself. */
    readonly aud: string
    /** The verifier's, fresh for this presentation. */
    readonly nonce: string
    readonly iat: Date
  }
}

/**
 * Presents chosen claims of an SD-JWT the holder keeps. The issuer's signature is not verified.
 *
 * @throws ProtocolError `credential-malformed` when it is no SD-JWT, is bound already, has no claim at one of
 * the pointers, or `cnf` is not the signer's key; `limit-exceeded`.
 */
export function presentSdJwt(
  sdJwt: string,
  { disclose, keyBinding }: SdJwtPresentation,
  crypto: ProofCrypto
): string {
  return asProtocolError(() => {
    const parts = splitSdJwt(sdJwt)
    if (parts.keyBinding !== undefined) {
      throw new SdJwtRefusal('malformed', 'a presentation with a key binding is not presented on')
    }
    const opened = openSdJwt(parts, crypto)
    const chosen = disclosuresFor(disclose, opened)
    const shownOnes = parts.disclosures.filter((text) => chosen.has(text))
    const presented = [parts.jwt, ...shownOnes, ''].join('~')
    if (keyBinding === undefined) return presented
    const { signer, aud, nonce, iat } = keyBinding
    const token = signToken(
      { typ: KEY_BINDING_TYPE },
      { iat: secondsOf(iat), aud, nonce, sd_hash: opened.digest(presented) },
      signer
    )
    const holder = holderKeyOf(opened.claims)
    if (holder === undefined || !isBy(token, holder, crypto)) {
      throw new SdJwtRefusal(
        'key-binding-wrong',
        `cnf is not the key of ${signer.verificationMethod}`
      )
    }
    return bounded(presented + token)
  })
}

interface SdJwtRefused {
  readonly ok: false
  readonly fault: SdJwtFault
  /** What is wrong, values included, fit to be shown. */
  readonly reason: string
}

export type SdJwtPeek = ({ readonly ok: true } & SdJwtContent) | SdJwtRefused

export type SdJwtOutcome =
  | ({ readonly ok: true; readonly keyBound: boolean } & SdJwtContent)
  | SdJwtRefused

export type SdJwtKeyAnswer =
  | ({ readonly ok: true } & TokenKey)
  | { readonly ok: false; readonly reason: string }

export interface SdJwtReading {
  /**
   * The issuer's key for `kid` (undefined when the header names none) and `iss` (undefined when the claims name none), both
   * unverified; the caller makes sure that the key is that issuer's.
   */
  key(kid: string | undefined, iss: string | undefined): Promise<SdJwtKeyAnswer>
  readonly crypto: ProofCrypto
  /** Accepted `typ`; default {@link SD_JWT_VC_TYPES}, for which `vct` and what must always be shown are checked. */
  readonly types?: readonly string[]
  /**
   * Asks for a presentation bound to the holder. undefined: none is asked for (RFC 9901 §7.3); one that is there is
   * verified, but for whom and when it was made is then the caller's to judge.
   */
  readonly keyBinding?: {
    readonly aud: string
    readonly nonce: string
    readonly now: Date
    /** Oldest `iat` taken, seconds before now. A future one is forgiven {@link CLOCK_SKEW_MS}. */
    readonly maxAgeS: number
  }
}

/**
 * Verifies an SD-JWT or a presentation of one: the issuer's signature, each disclosure, the key binding.
 * `keyBound` is true only for a key binding that was asked for and fits.
 *
 * @throws only what `options.key` throws.
 */
export async function readSdJwt(text: string, options: SdJwtReading): Promise<SdJwtOutcome> {
  const { crypto, types = SD_JWT_VC_TYPES } = options
  const first = asOutcome(() => {
    const parts = splitSdJwt(text)
    const token = parseToken(parts.jwt, 'malformed', "the issuer's JWT")
    const { typ, kid } = token.header
    if (typeof typ !== 'string' || !types.includes(typ)) {
      throw new SdJwtRefusal('type-unsupported', `typ ${shown(typ)}, not ${types.join(' or ')}`)
    }
    const iss = textClaim(token.payload, 'iss')
    // A key id is a text (RFC 7515 §4.1.4); another value names no key.
    return { ok: true as const, parts, token, kid: typeof kid === 'string' ? kid : undefined, iss }
  })
  if (!first.ok) return first
  const { parts, token, kid, iss } = first
  const key = await options.key(kid, iss)
  if (!key.ok) return { ok: false, fault: 'key-unknown', reason: key.reason }
  return asOutcome(() => {
    if (!verifiesToken(token, key, crypto)) {
      throw new SdJwtRefusal('signature-wrong', "the issuer's signature does not fit")
    }
    const opened = openSdJwt({ ...parts, token }, crypto)
    const content = contentOf(parts, opened, crypto)
    const keyBound = checkKeyBinding(content, options.keyBinding)
    return { ok: true as const, keyBound, ...content }
  })
}

/** What an SD-JWT says, with nothing verified but that its parts fit each other; for the holder's own view. */
export function peekSdJwt(text: string, crypto: ProofCrypto): SdJwtPeek {
  return asOutcome(() => {
    const parts = splitSdJwt(text)
    return { ok: true as const, ...contentOf(parts, openSdJwt(parts, crypto), crypto) }
  })
}

/** Whether the key binding that was asked for is there; refuses one that is for another verifier or moment. */
function checkKeyBinding(
  { keyBinding }: SdJwtContent,
  asked: SdJwtReading['keyBinding'] | undefined
): boolean {
  if (asked === undefined) return false
  if (keyBinding === undefined) {
    throw new SdJwtRefusal('key-binding-missing', 'the presentation is not bound to its holder')
  }
  const { aud, nonce, iat } = keyBinding
  if (aud !== asked.aud) {
    throw new SdJwtRefusal(
      'key-binding-audience',
      `presented to ${shown(aud)}, not ${shown(asked.aud)}`
    )
  }
  if (nonce !== asked.nonce) {
    throw new SdJwtRefusal('key-binding-nonce', 'presented for another request: its nonce differs')
  }
  const ageMs = asked.now.getTime() - iat.getTime()
  if (ageMs > asked.maxAgeS * 1000 || ageMs < -CLOCK_SKEW_MS) {
    throw new SdJwtRefusal(
      'key-binding-stale',
      `bound at ${iat.toISOString()}, not within ${asked.maxAgeS} s before ${asked.now.toISOString()}`
    )
  }
  return true
}

/** The disclosures to show for these pointers, those they are inside of among them. */
function disclosuresFor(
  pointers: readonly string[],
  { claims, revealed }: Opened
): ReadonlySet<string> {
  const hidden = new Map(revealed.map(({ pointer, text }) => [pointer, text]))
  const chosen = new Set<string>()
  for (const pointer of pointers) {
    if (!hasPointer(claims, pointer)) {
      throw new SdJwtRefusal('claims-malformed', `no claim is at ${shown(pointer)}`)
    }
    for (let end = pointer.indexOf('/', 1); ; end = pointer.indexOf('/', end + 1)) {
      const text = hidden.get(end === -1 ? pointer : pointer.slice(0, end))
      if (text !== undefined) chosen.add(text)
      if (end === -1) break
    }
  }
  return chosen
}

/** RFC 6901 §4: whether a pointer leads to a claim. */
function hasPointer(claims: JsonObject, pointer: string): boolean {
  if (!pointer.startsWith('/')) return false
  let value: unknown = claims
  for (const step of pointer.slice(1).split('/')) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(name)) return false
    if ((!isJsonObject(value) && !Array.isArray(value)) || !Object.hasOwn(value, name)) return false
    value = Reflect.get(value, name)
  }
  return true
}

function registeredClaims(options: SdJwtIssue): JsonObject {
  const { iss, vct, iat, exp, nbf, status, cnf } = options
  return {
    iss,
    vct,
    iat: secondsOf(iat),
    ...(exp === undefined ? {} : { exp: secondsOf(exp) }),
    ...(nbf === undefined ? {} : { nbf: secondsOf(nbf) }),
    ...(status === undefined ? {} : { status }),
    ...(cnf === undefined ? {} : { cnf: { jwk: { ...cnf.jwk } } })
  }
}

function isBy(jwt: string, jwk: PublicKeyJwk, crypto: ProofCrypto): boolean {
  return verifiesToken(parseToken(jwt, 'key-binding-malformed', 'the key binding'), { jwk }, crypto)
}

function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}

function bounded(text: string): string {
  if (text.length <= SD_JWT_BYTES_MAX) return text
  throw new SdJwtRefusal(
    'limit-exceeded',
    `an SD-JWT of ${text.length} bytes, at most ${SD_JWT_BYTES_MAX}`
  )
}

/** Refusals of what another party sent are values. */
function asOutcome<Outcome>(work: () => Outcome): Outcome | SdJwtRefused {
  try {
    return work()
  } catch (refusal) {
    if (!(refusal instanceof SdJwtRefusal)) throw refusal
    return { ok: false, fault: refusal.fault, reason: refusal.message }
  }
}

/** Broken use of the ones that make something is an exception. */
function asProtocolError(work: () => string): string {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof SdJwtRefusal)) throw cause
    const code = cause.fault === 'limit-exceeded' ? 'limit-exceeded' : 'credential-malformed'
    throw new ProtocolError(code, cause.message, { cause })
  }
}
