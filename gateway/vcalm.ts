/**
 * Verdicts in the words of VCALM 1.0 (formerly the VC API): `verified`, problem details, results by member. Of
 * what our verdicts say, `verified` is true for `valid` alone; everything else has its reason beside it.
 *
 * @module
 */
import { z } from 'zod'
import type { Check, Verdict, Verification } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'

/** Any JSON object: what is wrong with it is for the verdict to say. */
export const jsonObject = z
  .custom<JsonObject>(isJsonObject, 'must be a JSON object')
  .meta({ type: 'object' })

const question = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters')

export const verifyCredentialRequest = z.strictObject({
  verifiableCredential: jsonObject,
  options: z
    .strictObject({
      returnResults: z.boolean().exactOptional(),
      returnProblemDetails: z.boolean().exactOptional(),
      returnCredential: z.boolean().exactOptional()
    })
    .exactOptional()
})

/** Options we do not know may be sent: the standard lets implementations add some. */
export const verifyPresentationRequest = z.strictObject({
  verifiablePresentation: jsonObject.exactOptional(),
  /** One without a proof: only its credentials are judged. */
  presentation: jsonObject.exactOptional(),
  options: z
    .looseObject({
      challenge: question.exactOptional(),
      domain: question.exactOptional(),
      returnPresentation: z.boolean().exactOptional(),
      returnResults: z.boolean().exactOptional(),
      returnProblemDetails: z.boolean().exactOptional()
    })
    .exactOptional()
})

const problemDetails = z
  .object({ type: z.string(), title: z.string(), detail: z.string() })
  .meta({ id: 'VerificationProblem' })

const textResult = z.object({ verified: z.boolean(), input: z.string() })
const objectResult = z.object({
  verified: z.boolean(),
  input: jsonObject,
  value: z.number().exactOptional()
})

const credentialResults = z.object({
  validFrom: textResult.exactOptional(),
  validUntil: textResult.exactOptional(),
  credentialSchema: z.array(objectResult).exactOptional(),
  credentialStatus: z.array(objectResult).exactOptional(),
  proof: z.array(objectResult).exactOptional()
})

export const credentialVerified = z
  .object({
    verified: z.boolean(),
    credential: jsonObject.exactOptional(),
    problemDetails: z.array(problemDetails).exactOptional(),
    results: credentialResults.exactOptional()
  })
  .meta({ id: 'CredentialVerified' })

export const presentationVerified = z
  .object({
    verified: z.boolean(),
    verifiablePresentation: jsonObject.exactOptional(),
    problemDetails: z.array(problemDetails).exactOptional(),
    results: z
      .object({
        presentation: z.object({
          challenge: textResult.exactOptional(),
          domain: textResult.exactOptional(),
          holder: textResult.exactOptional(),
          proof: z.array(objectResult).exactOptional()
        }),
        credentials: z.array(credentialVerified)
      })
      .exactOptional()
  })
  .meta({ id: 'PresentationVerified' })

type ProblemDetails = z.infer<typeof problemDetails>
type CredentialVerified = z.infer<typeof credentialVerified>

/** Problem types of VCDM 2.0 §7.1 and Bitstring Status List 1.0 §3.4, by the check that found the problem. */
const VCDM = 'https://www.w3.org/TR/vc-data-model#'
const STATUS = 'https://www.w3.org/ns/credentials/status-list#'
const TYPE_OF: Readonly<Record<Check['name'], string>> = {
  structure: `${VCDM}PARSING_ERROR`,
  schema: `${VCDM}MALFORMED_VALUE_ERROR`,
  proof: `${VCDM}CRYPTOGRAPHIC_SECURITY_ERROR`,
  'issuer-key': `${VCDM}CRYPTOGRAPHIC_SECURITY_ERROR`,
  validity: `${VCDM}RANGE_ERROR`,
  status: `${STATUS}STATUS_VERIFICATION_ERROR`,
  'holder-binding': `${VCDM}CRYPTOGRAPHIC_SECURITY_ERROR`,
  'issuer-trust': 'https://elocker.example/problems/issuer-trust'
}

/** RFC 2397; the comma before the data is a semicolon in the examples of the standard. */
const ENVELOPED = /^data:application\/(?:vc|dc)\+sd-jwt[;,](.*)$/s

/** What is judged of a `verifiableCredential`: the JSON text, or what an enveloped one carries. */
export function textOf(credential: JsonObject): string {
  if (![credential['type']].flat().includes('EnvelopedVerifiableCredential'))
    return JSON.stringify(credential)
  const { id } = credential
  const text = typeof id === 'string' ? ENVELOPED.exec(id)?.[1] : undefined
  if (text === undefined || text === '')
    throw new LockerError(
      'request-invalid',
      'an enveloped credential is a data: URL of application/dc+sd-jwt or application/vc+sd-jwt'
    )
  return text
}

/** The answer about one credential, with everything that was asked to be in it. */
export function credentialAnswer(
  verification: Verification,
  input: JsonObject,
  options: NonNullable<z.infer<typeof verifyCredentialRequest>['options']> = {}
): CredentialVerified {
  const [verdict] = verification.verdicts
  return {
    verified: verification.result === 'valid',
    ...(options.returnCredential === true ? { credential: input } : {}),
    ...(options.returnProblemDetails === false
      ? {}
      : { problemDetails: problemsOf(verdict?.checks ?? []) }),
    ...(options.returnResults === true && verdict !== undefined
      ? { results: resultsOf(verdict, input) }
      : {})
  }
}

/** The answer about a presentation and each credential in it. */
export function presentationAnswer(
  verification: Verification,
  input: JsonObject,
  options: NonNullable<z.infer<typeof verifyPresentationRequest>['options']> = {}
): z.infer<typeof presentationVerified> {
  const { verdicts, holder } = verification
  const bound = holder?.outcome === 'passed'
  const { challenge, domain } = options
  const holderId = input['holder']
  const credentials = [input['verifiableCredential'] ?? []].flat()
  return {
    verified: verification.result === 'valid',
    ...(options.returnPresentation === true ? { verifiablePresentation: input } : {}),
    ...(options.returnProblemDetails === false
      ? {}
      : { problemDetails: problemsOf(holder === undefined ? [] : [holder]) }),
    ...(options.returnResults === false
      ? {}
      : {
          results: {
            presentation: {
              ...(challenge === undefined ? {} : { challenge: told(bound, challenge) }),
              ...(domain === undefined ? {} : { domain: told(bound, domain) }),
              ...(typeof holderId === 'string' && holder?.code !== 'holder-not-asked'
                ? { holder: told(bound, holderId) }
                : {}),
              ...(holder?.code === 'holder-not-asked' ? {} : { proof: each(input['proof'], bound) })
            },
            credentials: verdicts.map((verdict, index) => {
              const credential = credentials[index]
              return {
                verified: verdict.result === 'valid',
                problemDetails: problemsOf(verdict.checks),
                ...(isJsonObject(credential) ? { results: resultsOf(verdict, credential) } : {})
              }
            })
          }
        })
  }
}

/** A problem for each check that failed, or could not be made though the credential asks for it. */
function problemsOf(checks: readonly Check[]): ProblemDetails[] {
  return checks
    .filter(({ outcome, code }) => outcome === 'failed' || isOpen(outcome, code))
    .map(({ name, code, reason }) => ({ type: TYPE_OF[name], title: code, detail: reason }))
}

/** `not-reached` only repeats an earlier failure. */
function isOpen(outcome: Check['outcome'], code: Check['code']): boolean {
  return outcome === 'not-checked' && code !== 'not-reached'
}

function resultsOf(
  { checks, result }: Verdict,
  input: JsonObject
): z.infer<typeof credentialResults> {
  const held = (name: Check['name']): boolean =>
    checks.some((check) => check.name === name && check.outcome === 'passed')
  const { validFrom, validUntil, issuanceDate, expirationDate } = input
  const [from, until] = [validFrom ?? issuanceDate, validUntil ?? expirationDate]
  return {
    ...(typeof from === 'string'
      ? { validFrom: told(held('validity') || result === 'expired', from) }
      : {}),
    ...(typeof until === 'string'
      ? { validUntil: told(held('validity') || result === 'not-yet-valid', until) }
      : {}),
    ...(input['credentialSchema'] === undefined
      ? {}
      : { credentialSchema: each(input['credentialSchema'], held('schema')) }),
    ...(input['credentialStatus'] === undefined
      ? {}
      : {
          credentialStatus: each(input['credentialStatus'], held('status')).map((entry) => ({
            ...entry,
            ...statusValue(entry.input, result, held('status'))
          }))
        }),
    proof: each(input['proof'], held('proof') && held('issuer-key'))
  }
}

/** The bit of a status entry, where the verdict tells it. */
function statusValue(
  { statusPurpose }: JsonObject,
  result: Verdict['result'],
  clear: boolean
): { value?: number } {
  if (clear) return { value: 0 }
  if (statusPurpose === 'revocation' && result === 'revoked') return { value: 1 }
  if (statusPurpose === 'suspension' && result === 'suspended') return { value: 1 }
  return {}
}

function told(verified: boolean, input: string): z.infer<typeof textResult> {
  return { verified, input }
}

/** One result for each object of a member that holds one or several. */
function each(member: unknown, verified: boolean): Array<{ verified: boolean; input: JsonObject }> {
  return [member ?? []]
    .flat()
    .filter(isJsonObject)
    .map((input) => ({ verified, input }))
}
