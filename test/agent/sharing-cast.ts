/** Alice with a degree, Bob and Carol who know her: the cast of the tests of sharing. */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { DocumentFacts } from '../../agent/documents.ts'
import type { GrantFacts } from '../../agent/sharing.ts'
import { until } from '../clock.ts'
import { collect, Lockers, type Party, source } from '../lockers.ts'

/** Two blocks under a root. */
export const DEGREE: Uint8Array = new Uint8Array(randomBytes(1_300_000))

interface GivenOptions {
  /** Default: the degree. */
  readonly document?: string
  readonly permission?: 'read' | 'copy'
  readonly expiresAt?: Date
}

export interface SharingCast {
  readonly lockers: Lockers
  readonly alice: Party
  readonly bob: Party
  readonly carol: Party
  readonly degree: DocumentFacts
  /** Alice gives the degree; resolves with the grant's id when it is in the other's inbox. */
  readonly given: (to: Party, options?: GivenOptions) => Promise<string>
  /** As given, and the other accepts; resolves when Alice knows. */
  readonly accepted: (by: Party, options?: GivenOptions) => Promise<string>
  readonly stateAtAlice: (id: string) => string
}

export async function openCast(): Promise<SharingCast> {
  const lockers = new Lockers()
  const alice = await lockers.join('Alice')
  const bob = await lockers.join('Bob')
  const carol = await lockers.join('Carol')
  await lockers.befriend(alice, bob)
  await lockers.befriend(alice, carol)
  const degree = await alice.locker.documents.add(source(DEGREE), { name: 'degree.bin' })
  const stateAtAlice = (id: string): string => alice.locker.sharing.grant(id).state
  const given: SharingCast['given'] = async (to, options = {}) => {
    const { id } = await alice.locker.sharing.give({
      document: degree.id,
      to: to.name,
      purpose: 'application',
      ...options
    })
    await until(() => received(to, id) !== undefined, `${to.name} has the grant`)
    return id
  }
  const accepted: SharingCast['accepted'] = async (by, options) => {
    const id = await given(by, options)
    await by.locker.sharing.accept(id)
    await until(() => stateAtAlice(id) === 'accepted', 'Alice knows that it was accepted')
    return id
  }
  return { lockers, alice, bob, carol, degree, given, accepted, stateAtAlice }
}

/** The grant as the recipient sees it; `undefined` before it has arrived. */
export function received(party: Party, id: string): GrantFacts | undefined {
  return party.locker.sharing.grants({ direction: 'received' }).find((grant) => grant.id === id)
}

/** Opens a received grant and reads it whole. */
export async function read(party: Party, id: string): Promise<Uint8Array> {
  return collect((await party.locker.sharing.open(id)).content)
}

/** Compares bytes without printing megabytes. */
export function same(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected), `${actual.length} bytes`).to.equal(0)
}
