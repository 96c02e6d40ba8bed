/**
 * `from_prior`: how a party says that it has changed its DID (DIDComm v2.1 "DID Rotation").
 *
 * A JWT signed by the old DID names the new one as `sub`. It is repeated in every message until the other
 * side has written to the new DID.
 *
 * @module
 */
import { z } from 'zod'
import { did, didOf } from '../did/document.ts'
import { ProtocolError } from '../errors.ts'
import { CLOCK_SKEW_MS } from '../message.ts'
import { signJwt, verifyJwt, type ResolveSigner } from './jws.ts'
import type { SecretKeyRef } from './keys.ts'

const numericDate = z.number().min(0).max(253_402_300_799)

const claimsSchema = z.object({
  iss: did,
  sub: did,
  iat: z.exactOptional(numericDate),
  exp: z.exactOptional(numericDate),
  nbf: z.exactOptional(numericDate)
})

/** Claims of a verified `from_prior`: the holder of `iss` is now `sub`. Times in epoch seconds. */
export interface FromPrior {
  /** The old DID. */
  readonly iss: string
  /** The new DID: the `from` of the message. */
  readonly sub: string
  readonly iat?: number
  readonly exp?: number
  readonly nbf?: number
  /** The key of the old DID that signed. */
  readonly kid: string
}

/**
 * Makes the `from_prior` header.
 *
 * @param signer - A key in `authentication` of the old DID, `iss`.
 */
export function packFromPrior(
  { iss, sub, issuedAt }: { readonly iss: string; readonly sub: string; readonly issuedAt: Date },
  signer: SecretKeyRef
): string {
  if (didOf(signer.kid) !== iss) {
    throw new ProtocolError('envelope-unsupported', 'from_prior must be signed by the old DID')
  }
  return signJwt({ iss, sub, iat: Math.floor(issuedAt.getTime() / 1000) }, signer)
}

/**
 * Verifies a `from_prior` header. The caller must check that `sub` is the authenticated sender (unpack does)
 * and that `iss` is the contact it knows; {@link fromPriorIsCurrent} checks the times.
 *
 * @throws ProtocolError `envelope-malformed`, `envelope-unauthenticated`, `envelope-unsupported`.
 */
export async function unpackFromPrior(jwt: string, resolveKey: ResolveSigner): Promise<FromPrior> {
  const { claims, kid } = await verifyJwt(jwt, resolveKey)
  const parsed = claimsSchema.safeParse(claims)
  if (!parsed.success) {
    throw new ProtocolError('envelope-malformed', 'from_prior without iss and sub', {
      cause: parsed.error
    })
  }
  if (didOf(kid) !== parsed.data.iss) {
    throw new ProtocolError('envelope-unauthenticated', 'from_prior is not signed by its issuer')
  }
  return { ...parsed.data, kid }
}

/** Whether the optional `exp` and `nbf` allow the claim now, forgiving the usual clock skew. */
export function fromPriorIsCurrent(claims: FromPrior, now: Date): boolean {
  const time = now.getTime()
  return (
    (claims.exp === undefined || time <= claims.exp * 1000 + CLOCK_SKEW_MS) &&
    (claims.nbf === undefined || time >= claims.nbf * 1000 - CLOCK_SKEW_MS)
  )
}
