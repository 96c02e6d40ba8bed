/**
 * An SD-JWT taken apart and put together again: what reading, presenting and looking at one have in common.
 *
 * @module
 */
import type { PublicKeyJwk } from '../did/multikey.ts'
import type { ProofCrypto } from './crypto.ts'
import { jsonFault, type JsonObject } from './json.ts'
import { ALGORITHM, digestOf, revealClaims, type Revealed } from './sd-jwt-disclosures.ts'
import {
  holderKeyOf,
  parseToken,
  SD_JWT_BYTES_MAX,
  SdJwtRefusal,
  shown,
  verifiesToken,
  type SdJwtFault,
  type Token
} from './sd-jwt-token.ts'

/** `typ` of an SD-JWT VC, and its name in drafts before November 2024, which issuers still send. */
export const SD_JWT_VC_TYPES: readonly string[] = ['dc+sd-jwt', 'vc+sd-jwt']

/** `typ` of a key binding, RFC 9901 §4.3. */
export const KEY_BINDING_TYPE = 'kb+jwt'

/** Names a verifier must see whatever the holder shows, SD-JWT VC §3.2.2.2. */
// oxfmt-ignore
export const ALWAYS_SHOWN: ReadonlySet<string> = new Set([
  'iss', 'nbf', 'exp', 'cnf', 'vct', 'vct#integrity', 'status'
])
const NONE: ReadonlySet<string> = new Set()

/** Latest time read, seconds: the end of the year 9999, as in message.ts. */
const SECONDS_MAX = 253_402_300_799

/** What a reader gets of an SD-JWT that it takes. */
export interface SdJwtContent {
  /** The issuer's protected header. */
  readonly header: JsonObject
  /** The issuer's claims with the disclosed ones in their places. */
  readonly claims: JsonObject
  /** JSON Pointers into `claims` of what was disclosed; the rest is open to everyone. */
  readonly disclosed: readonly string[]
  /** The holder's key; undefined when `cnf` is absent or of a kind that is not verified here. */
  readonly holderKey?: PublicKeyJwk
  /** What the key binding says; undefined when there is none. */
  readonly keyBinding?: { readonly aud: string; readonly nonce: string; readonly iat: Date }
  readonly kid?: string
  readonly iss?: string
  readonly vct?: string
  readonly iat?: Date
  readonly nbf?: Date
  readonly exp?: Date
}

/** The text taken apart at its tildes. */
export interface Parts {
  readonly jwt: string
  readonly disclosures: readonly string[]
  readonly keyBinding: string | undefined
  /** What a key binding is over: all up to the last `~`. */
  readonly bound: string
}

/** The claims put together. */
export interface Opened {
  readonly token: Token
  readonly claims: JsonObject
  readonly revealed: readonly Revealed[]
  readonly digest: (text: string) => string
}

/** @throws SdJwtRefusal `limit-exceeded`, `malformed`. */
export function splitSdJwt(text: string): Parts {
  // Characters are bytes: one that is not ASCII is refused where it is decoded.
  if (text.length > SD_JWT_BYTES_MAX) {
    throw new SdJwtRefusal(
      'limit-exceeded',
      `an SD-JWT of ${text.length} characters, at most ${SD_JWT_BYTES_MAX}`
    )
  }
  const [jwt = '', ...rest] = text.split('~')
  const keyBinding = rest.pop()
  if (keyBinding === undefined) throw new SdJwtRefusal('malformed', "no ~ after the issuer's JWT")
  return {
    jwt,
    disclosures: rest,
    keyBinding: keyBinding === '' ? undefined : keyBinding,
    bound: text.slice(0, text.length - keyBinding.length)
  }
}

/**
 * Puts the claims together. The signature has been verified before, or nothing is claimed about it.
 *
 * @throws SdJwtRefusal
 */
export function openSdJwt(parts: Parts & { readonly token?: Token }, crypto: ProofCrypto): Opened {
  const token = parts.token ?? parseToken(parts.jwt, 'malformed', "the issuer's JWT")
  const { typ } = token.header
  const credential = typeof typ === 'string' && SD_JWT_VC_TYPES.includes(typ)
  const digest = digestOf(token.payload[ALGORITHM], crypto)
  const fixed = credential ? ALWAYS_SHOWN : NONE
  const { claims, revealed } = revealClaims(token.payload, parts.disclosures, { digest, fixed })
  refuseFault(claims)
  if (credential && textClaim(claims, 'vct') === undefined) {
    throw new SdJwtRefusal('claims-malformed', 'a credential without vct')
  }
  return { token, claims, revealed, digest }
}

/**
 * What the claims say, and the key binding, verified but for whom and when it was made.
 *
 * @throws SdJwtRefusal
 */
export function contentOf(parts: Parts, opened: Opened, crypto: ProofCrypto): SdJwtContent {
  const { token, claims, revealed } = opened
  const { kid } = token.header
  const holderKey = holderKeyOf(claims)
  const facts = {
    iss: textClaim(claims, 'iss'),
    vct: textClaim(claims, 'vct'),
    iat: timeClaim(claims, 'iat'),
    nbf: timeClaim(claims, 'nbf'),
    exp: timeClaim(claims, 'exp'),
    kid: typeof kid === 'string' ? kid : undefined,
    holderKey,
    keyBinding:
      parts.keyBinding === undefined
        ? undefined
        : keyBindingOf(parts.keyBinding, opened.digest(parts.bound), { holderKey, crypto })
  }
  const known = Object.entries(facts).filter(([, fact]) => fact !== undefined)
  return {
    header: token.header,
    claims,
    disclosed: revealed.map(({ pointer }) => pointer),
    ...(Object.fromEntries(known) as {
      [Name in keyof typeof facts]?: NonNullable<(typeof facts)[Name]>
    })
  }
}

/** A key binding by the holder's key over this very presentation, RFC 9901 §7.3. */
function keyBindingOf(
  jwt: string,
  hash: string,
  {
    holderKey,
    crypto
  }: { readonly holderKey: PublicKeyJwk | undefined; readonly crypto: ProofCrypto }
): { readonly aud: string; readonly nonce: string; readonly iat: Date } {
  const token = parseToken(jwt, 'key-binding-malformed', 'the key binding')
  const { typ } = token.header
  const { aud, nonce, sd_hash: boundHash } = token.payload
  const iat = timeClaim(token.payload, 'iat', 'key-binding-malformed')
  if (typ !== KEY_BINDING_TYPE || typeof aud !== 'string' || typeof nonce !== 'string' || !iat) {
    throw new SdJwtRefusal(
      'key-binding-malformed',
      `a key binding of typ ${shown(typ)} with aud ${shown(aud)} and nonce ${shown(nonce)}`
    )
  }
  if (holderKey === undefined) {
    throw new SdJwtRefusal('key-binding-wrong', "the issuer names no holder's key in cnf")
  }
  if (!verifiesToken(token, { jwk: holderKey }, crypto)) {
    throw new SdJwtRefusal('key-binding-wrong', "the key binding is not by the holder's key")
  }
  if (boundHash !== hash) {
    throw new SdJwtRefusal('key-binding-wrong', 'the key binding is over another presentation')
  }
  return { aud, nonce, iat }
}

/** @throws SdJwtRefusal `claims-malformed` when it is beyond the limits of json.ts. */
export function refuseFault(claims: JsonObject): void {
  const fault = jsonFault(claims)
  if (fault !== undefined) throw new SdJwtRefusal('claims-malformed', `claims: ${fault}`)
}

/**
 * A registered claim that is a text; undefined when it is absent.
 *
 * @throws SdJwtRefusal `claims-malformed` when it is something else.
 */
export function textClaim(claims: JsonObject, name: string): string | undefined {
  const value = claims[name]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new SdJwtRefusal('claims-malformed', `${name} is not a text`)
}

/** NumericDate, RFC 7519 §2. */
function timeClaim(
  claims: JsonObject,
  name: string,
  fault: SdJwtFault = 'claims-malformed'
): Date | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || value < 0 || value > SECONDS_MAX) {
    throw new SdJwtRefusal(fault, `${name} is not seconds since 1970`)
  }
  return new Date(value * 1000)
}
