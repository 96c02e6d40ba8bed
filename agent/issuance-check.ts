/**
 * The holder's look at what has been issued, before it is kept: is it whole and signed by who offered it, is it
 * about us, and does it say what was offered.
 *
 * @module
 */
import canonicalize from 'canonicalize'
import { instantOf } from '../protocols/credential/credential.ts'
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { peekSdJwt } from '../protocols/credential/sd-jwt.ts'
import type { Verdict } from '../protocols/credential/verdict.ts'
import type { CredentialFormat, CredentialOffer } from '../protocols/issuance-attachments.ts'
import type { CredentialRecord } from './credentials.ts'
import { claimsOfSdJwt, vctOf } from './issuance-signing.ts'

/** A credential as far as it can be read without believing it. */
interface Said {
  readonly credentialId: string | undefined
  readonly subject: string | undefined
  readonly types: readonly string[]
  readonly claims: JsonObject
  readonly validFrom: string | undefined
  readonly validUntil: string | undefined
  /** Of an SD-JWT VC: `x` of the key in `cnf`. */
  readonly boundTo?: string
}

export interface ReceivedCredential {
  readonly format: CredentialFormat
  /** JSON, or a compact SD-JWT. */
  readonly text: string
  readonly offer: CredentialOffer
  readonly holder: string
  /** `x` of the holder's key, base64url. */
  readonly holderKey: string
  readonly verdict: Verdict
}

/** `check`: which one failed; the first, in the order they are made. */
export type Examination =
  | {
      readonly ok: true
      readonly facts: Pick<
        CredentialRecord,
        'credentialId' | 'types' | 'issuer' | 'subject' | 'validFrom' | 'validUntil'
      >
    }
  | { readonly ok: false; readonly check: string; readonly reason: string }

/** Results with which a credential is not taken. What is not known yet, such as a status, is no reason. */
const REFUSED: ReadonlySet<Verdict['result']> = new Set(['invalid', 'revoked', 'expired'])

/** Examines what has been issued against its verdict and the offer. */
export function examine(received: ReceivedCredential): Examination {
  const { format, text, offer, holder, holderKey, verdict } = received
  const failed = verdict.checks.find(({ outcome }) => outcome === 'failed')
  if (REFUSED.has(verdict.result))
    return refused(failed?.name ?? 'structure', failed?.reason ?? `It is ${verdict.result}.`)
  const open = verdict.checks.find(
    ({ name, outcome }) => outcome === 'not-checked' && MUST_PASS.has(name)
  )
  if (open !== undefined) return refused(open.name, open.reason)
  const said = format === 'sd-jwt-vc' ? readSdJwt(text) : readData(text)
  if (said === undefined) return refused('structure', 'It cannot be read.')
  const { credentialId, subject, claims } = said
  if (credentialId === undefined) return refused('structure', 'It has no id.')
  const issuer = verdict.issuer?.did
  if (issuer !== offer.issuer)
    return refused('issuer', `It is by ${issuer ?? 'nobody'}, and ${offer.issuer} offered it.`)
  if (subject !== holder)
    return refused('subject', `It is about ${subject ?? 'nobody'}, not about the holder.`)
  if (format === 'sd-jwt-vc' && said.boundTo !== holderKey)
    return refused('subject', 'It is bound to another key than the holder’s.')
  if (!sameTypes(format, said.types, offer.types))
    return refused(
      'type',
      `It is a ${said.types.join(', ')}, and ${offer.types.join(', ')} was offered.`
    )
  const { id: _preview, ...offered } = offer.preview
  if (canonicalize(claims) !== canonicalize(offered))
    return refused('claims', `It does not say what was offered: ${differing(claims, offered)}.`)
  return {
    ok: true,
    facts: {
      credentialId,
      types: offer.types,
      issuer: offer.issuer,
      subject,
      ...(said.validFrom === undefined ? {} : { validFrom: said.validFrom }),
      ...(said.validUntil === undefined ? {} : { validUntil: said.validUntil })
    }
  }
}

const MUST_PASS: ReadonlySet<string> = new Set(['structure', 'proof', 'issuer-key'])

function readData(text: string): Said | undefined {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) return undefined
  const { id, type, credentialSubject: subject, validFrom, validUntil } = value
  if (!isJsonObject(subject)) return undefined
  const { id: about, ...claims } = subject
  return {
    credentialId: textOf(id),
    subject: textOf(about),
    types: [type]
      .flat()
      .filter((each): each is string => typeof each === 'string')
      .filter((each) => each !== 'VerifiableCredential'),
    claims,
    validFrom: timeOf(validFrom),
    validUntil: timeOf(validUntil)
  }
}

function readSdJwt(text: string): Said | undefined {
  const peek = peekSdJwt(text, nativeProofCrypto)
  if (!peek.ok) return undefined
  const { jti, sub, vct, nbf, exp, cnf } = peek.claims
  const jwk = isJsonObject(cnf) ? cnf['jwk'] : undefined
  const boundTo = isJsonObject(jwk) ? textOf(jwk['x']) : undefined
  return {
    credentialId: textOf(jti),
    subject: textOf(sub),
    types: typeof vct === 'string' ? [vct] : [],
    claims: claimsOfSdJwt(peek.claims),
    validFrom: secondsOf(nbf),
    validUntil: secondsOf(exp),
    ...(boundTo === undefined ? {} : { boundTo })
  }
}

function sameTypes(
  format: CredentialFormat,
  given: readonly string[],
  offered: readonly string[]
): boolean {
  if (format === 'sd-jwt-vc') return given[0] === vctOf(offered)
  return given.length === offered.length && offered.every((each) => given.includes(each))
}

/** Names of the members that differ, for a person. */
function differing(claims: JsonObject, offered: JsonObject): string {
  const names = new Set([...Object.keys(claims), ...Object.keys(offered)])
  return [...names]
    .filter((each) => {
      const [one, other] = [claims[each], offered[each]]
      return one === undefined || other === undefined || canonicalize(one) !== canonicalize(other)
    })
    .slice(0, 5)
    .join(', ')
}

function refused(check: string, reason: string): Examination {
  return { ok: false, check, reason }
}

function textOf(value: JsonObject[string] | undefined): string | undefined {
  return typeof value === 'string' && value.length > 0 ? value : undefined
}

function timeOf(value: JsonObject[string] | undefined): string | undefined {
  return typeof value === 'string' ? instantOf(value)?.toISOString() : undefined
}

function secondsOf(value: JsonObject[string] | undefined): string | undefined {
  return typeof value === 'number' ? new Date(value * 1000).toISOString() : undefined
}
