/**
 * What the agent tells its listeners of.
 *
 * @module
 */

/** Something changed; the page and `GET /events` follow these. */
export interface AgentEvent {
  /** Counts from 1 at start. */
  readonly number: number
  readonly type:
    | 'vault'
    | 'document'
    | 'grant'
    | 'request'
    | 'link'
    | 'contact'
    | 'outbox'
    | 'activity'
    /** A thread of issuing, by its thid; what was issued; a credential kept, by its document. */
    | 'issuance'
    | 'issued'
    | 'credential'
  /** Id of the thing that changed. */
  readonly id?: string
}

/** Tells of a change in one feature of an open locker. */
export type Changed = (type: Exclude<AgentEvent['type'], 'vault'>, id: string) => void
