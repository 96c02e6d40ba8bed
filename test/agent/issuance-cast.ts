/**
 * A university that issues, Asha who holds, and Mallory who is a contact of both: the cast of the tests of issuing.
 */
import { Buffer } from 'node:buffer'
import { expect } from 'chai'
import type { CredentialFacts } from '../../agent/credentials.ts'
import type { IssuanceFacts, IssuedFacts } from '../../agent/issuance.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { until } from '../clock.ts'
import { Lockers, type Party } from '../lockers.ts'
import { SAMPLE_CLAIMS, SAMPLE_FORMS } from '../sample-claims.ts'

export const TYPE = 'academic-marksheet'
export const MARKS: JsonObject = withoutId(SAMPLE_CLAIMS.get(TYPE))
export const FORM: JsonObject = SAMPLE_FORMS.get(TYPE) ?? {}

export interface IssuanceCast {
  readonly lockers: Lockers
  readonly university: Party
  readonly asha: Party
  readonly mallory: Party
  /** Offers the marksheet; resolves with the issued record when the offer is with Asha. */
  readonly offered: (wish?: Partial<Wish>) => Promise<IssuedFacts>
  /** As offered, and Asha takes it; resolves when the university knows that she keeps it. */
  readonly delivered: (wish?: Partial<Wish>) => Promise<IssuedFacts>
  /** Asha asks with a form; resolves with the thread as she sees it once the university has answered. */
  readonly proposed: (form?: JsonObject) => Promise<IssuanceFacts>
  readonly kept: () => readonly CredentialFacts[]
  readonly threadOf: (issued: IssuedFacts) => string
}

type Wish = Parameters<Party['locker']['issuance']['offer']>[0]

export async function openIssuanceCast(
  options: { secondApproval?: boolean } = {}
): Promise<IssuanceCast> {
  const lockers = new Lockers()
  const university = await lockers.join('University')
  const asha = await lockers.join('Asha')
  const mallory = await lockers.join('Mallory')
  await lockers.befriend(university, asha)
  await lockers.befriend(university, mallory)
  await lockers.befriend(asha, mallory)
  await setUpIssuer(university, options)
  const offered: IssuanceCast['offered'] = async (wish = {}) => {
    const { issuance } = university.locker
    const { id } = await issuance.offer({ type: TYPE, claims: MARKS, to: 'Asha', ...wish })
    await lockers.settled()
    return issuance.issuedCredential(id)
  }
  const delivered: IssuanceCast['delivered'] = async (wish) => {
    const issued = await offered(wish)
    await asha.locker.issuance.accept(threadOf(issued))
    const state = (): string => university.locker.issuance.issuedCredential(issued.id).state
    await until(() => state() === 'accepted', 'the university knows that it is kept')
    await lockers.settled()
    return university.locker.issuance.issuedCredential(issued.id)
  }
  const proposed: IssuanceCast['proposed'] = async (form = FORM) => {
    const { issuance } = asha.locker
    const { thid } = await issuance.propose({ to: 'University', type: TYPE, form })
    await lockers.settled()
    return issuance.get(thid)
  }
  const kept = (): readonly CredentialFacts[] => asha.locker.credentials.list()
  return { lockers, university, asha, mallory, offered, delivered, proposed, kept, threadOf }
}

/** An issuer with a did:key, and the marksheet published. */
export async function setUpIssuer(
  party: Party,
  { secondApproval = false, domain }: { secondApproval?: boolean; domain?: string } = {}
): Promise<void> {
  await party.locker.issuer.setUp({
    names: { en: party.name },
    categories: ['education'],
    secondApproval,
    ...(domain === undefined ? {} : { domain })
  })
  await party.locker.types.publish(TYPE)
}

function threadOf({ thid }: IssuedFacts): string {
  if (thid === undefined) throw new Error('it has no thread')
  return thid
}

/** A document as text. */
export async function textOf(party: Party, id: string): Promise<string> {
  const { content } = await party.locker.documents.open(id)
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

/** Actions of the audit log, oldest first, those of credentials only. */
export async function credentialActions(party: Party): Promise<readonly string[]> {
  const entries = await party.locker.audit.list({ limit: 500 })
  expect(await party.locker.audit.verify()).to.deep.include({ ok: true })
  return entries
    .toReversed()
    .map(({ action }) => action)
    .filter((action) => action.startsWith('credential-'))
}

function withoutId(claims: JsonObject | undefined): JsonObject {
  const { id: _id, ...rest } = claims ?? {}
  return rest
}
