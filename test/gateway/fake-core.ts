/**
 * What the parts of the agent in memory share (fake-agent.ts).
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { ActivityEntry, AgentEvent, Clock, ContactFacts } from '../../agent/agent.ts'
import { LockerError, type LockerErrorCode } from '../../agent/errors.ts'

/** A new id in the form of the agent's own. */
export function newId(): string {
  return randomBytes(13).toString('hex')
}

/** What the parts of the fake share. */
export interface FakeCore {
  readonly clock: Clock
  /** Throws unless the vault is open. */
  guard(): void
  changed(type: AgentEvent['type'], id?: string): void
  log(entry: Omit<ActivityEntry, 'number' | 'time'>): void
  contactOf(didOrName: string): ContactFacts
}

export function refuse(code: LockerErrorCode, message: string = code): never {
  throw new LockerError(code, message)
}
