/**
 * What the mock gateway answers with: a locker in daily use, typed by the agent's own contract. The names
 * and words are long and awkward where real ones are.
 *
 * @module
 */
import type {
  ActivityEntry,
  ContactFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem,
  InvitationFacts,
  LinkFacts,
  OutboxItem,
  RecoveryKit,
  RequestFacts,
  TokenFacts
} from '../../agent/agent.ts'
import { HOSTILE_SVG, pdf, png } from './documents.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const now = Date.now()

/** An ISO time so long before (or, negative, after) the start of the tests. */
export function ago(milliseconds: number): string {
  return new Date(now - milliseconds).toISOString()
}

const ROOT = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
export const MARIA = 'did:peer:2.Ez6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc.Maria'
export const UNIVERSITY = 'did:peer:2.Ez6LSghwSE437wnDE1pt3X6hVDUQzSjsHzinpX3XFvMjRAm7y.University'
const EMPLOYER = 'did:peer:2.Ez6LSmqgsBFVvBoKMN9ioNvtuFbUGcgcJkVqrbJdYhKX2VBzB.Employer'

/** A document and its bytes. */
export interface SampleDocument {
  readonly facts: DocumentFacts
  readonly content: Buffer
}

/** A document of one version. `id` is filled up to its length. */
export function sampleDocument(
  id: string,
  name: string,
  mediaType: string,
  content: Buffer,
  addedAt: string,
  more: Partial<DocumentFacts> = {}
): SampleDocument {
  const version = { number: 1, root: ROOT, sizeBytes: content.length, mediaType, addedAt }
  const facts = {
    id: id.padEnd(26, 'a'),
    name,
    mediaType,
    sizeBytes: content.length,
    root: ROOT,
    version: 1,
    versions: [version],
    tags: [],
    addedAt,
    changedAt: addedAt,
    ...more
  }
  return { facts, content }
}

export function sampleDocuments(): SampleDocument[] {
  const degree = pdf([
    'University of Pune',
    'Degree certificate',
    'This is to certify that Asha Kulkarni has been admitted',
    'to the degree of Bachelor of Science with distinction.',
    'Issued on 14 July 2024. Register number 2024/BSc/0871.'
  ])
  return [
    sampleDocument(
      'degree',
      'Degree certificate.pdf',
      'application/pdf',
      degree,
      ago(2 * HOUR_MS),
      {
        type: 'Degree',
        tags: ['university', '2024'],
        version: 2,
        versions: [
          {
            number: 1,
            root: ROOT,
            sizeBytes: 80_211,
            mediaType: 'application/pdf',
            addedAt: ago(30 * DAY_MS)
          },
          {
            number: 2,
            root: ROOT,
            sizeBytes: degree.length,
            mediaType: 'application/pdf',
            addedAt: ago(2 * HOUR_MS)
          }
        ]
      }
    ),
    sampleDocument('photo', 'Passport photo.png', 'image/png', png(420, 540), ago(DAY_MS)),
    sampleDocument(
      'policy',
      'Health insurance policy 2026–2027 with all annexes and the signed declaration of the insured person.pdf',
      'application/pdf',
      pdf(['Policy', 'Annex 1']),
      ago(3 * DAY_MS),
      { type: 'Policy', source: { grant: 'grant-copy', from: 'Sahyadri Insurance' } }
    ),
    sampleDocument(
      'letter',
      'Letter to the registrar.txt',
      'text/plain',
      Buffer.from('Dear Registrar,\n\nplease find enclosed my application.\n\nAsha Kulkarni\n'),
      ago(9 * DAY_MS),
      { damagedBlocks: [ROOT] }
    ),
    sampleDocument(
      'drawing',
      'Campus map <img src=x onerror=alert(1)>.svg',
      'image/svg+xml',
      Buffer.from(HOSTILE_SVG),
      ago(20 * DAY_MS)
    ),
    sampleDocument(
      'archive',
      'Scans of school records.zip',
      'application/zip',
      Buffer.alloc(48_000, 7),
      ago(40 * DAY_MS)
    )
  ]
}

export function sampleContacts(): ContactFacts[] {
  return [
    {
      did: UNIVERSITY,
      ourDid: 'did:peer:2.us-university',
      name: 'University of Pune, Examination Department',
      claimedName: 'SPPU Exams',
      state: 'connected',
      addedAt: ago(60 * DAY_MS),
      lastSeenAt: ago(5 * MINUTE_MS)
    },
    {
      did: MARIA,
      ourDid: 'did:peer:2.us-maria',
      name: 'Maria Fernandes',
      state: 'connected',
      addedAt: ago(12 * DAY_MS),
      lastSeenAt: ago(2 * DAY_MS)
    },
    {
      did: EMPLOYER,
      ourDid: 'did:peer:2.us-employer',
      name: 'Deccan Software',
      state: 'waiting',
      addedAt: ago(3 * HOUR_MS)
    }
  ]
}

function party(did: string): { did: string; name: string } {
  return { did, name: sampleContacts().find((contact) => contact.did === did)?.name ?? '' }
}

export function sampleGrants(): GrantFacts[] {
  const degree = {
    id: 'degree'.padEnd(26, 'a'),
    name: 'Degree certificate.pdf',
    mediaType: 'application/pdf',
    sizeBytes: 81_440,
    root: ROOT
  }
  return [
    {
      id: 'grant-maria',
      direction: 'given',
      state: 'accepted',
      contact: party(MARIA),
      document: degree,
      permission: 'read',
      purpose: 'Visa application',
      createdAt: ago(DAY_MS),
      expiresAt: ago(-6 * DAY_MS),
      fetches: 2,
      lastFetchedAt: ago(3 * HOUR_MS),
      delivery: 'sent'
    },
    {
      id: 'grant-employer',
      direction: 'given',
      state: 'granted',
      contact: party(EMPLOYER),
      document: degree,
      permission: 'copy',
      purpose: 'Background check',
      createdAt: ago(HOUR_MS),
      delivery: 'waiting'
    },
    {
      id: 'grant-offer',
      direction: 'received',
      state: 'granted',
      contact: party(UNIVERSITY),
      document: {
        name: 'Transcript of records, semesters 1 to 6.pdf',
        mediaType: 'application/pdf',
        sizeBytes: 412_000,
        root: ROOT
      },
      permission: 'copy',
      purpose: 'You asked for it on 12 November',
      createdAt: ago(40 * MINUTE_MS),
      expiresAt: ago(-13 * DAY_MS)
    },
    {
      id: 'grant-read',
      direction: 'received',
      state: 'accepted',
      contact: party(MARIA),
      document: {
        name: 'Rental agreement.pdf',
        mediaType: 'application/pdf',
        sizeBytes: 92_000,
        root: ROOT
      },
      permission: 'read',
      purpose: 'Please check paragraph 4',
      createdAt: ago(2 * DAY_MS),
      expiresAt: ago(-5 * DAY_MS)
    }
  ]
}

export function sampleLinks(): LinkFacts[] {
  return [
    {
      id: 'link'.padEnd(26, 'a'),
      document: { id: 'degree'.padEnd(26, 'a'), name: 'Degree certificate.pdf' },
      purpose: 'Scholarship committee',
      createdAt: ago(5 * HOUR_MS),
      expiresAt: ago(-19 * HOUR_MS),
      usesMax: 3,
      uses: 1,
      passphrase: true,
      state: 'live'
    }
  ]
}

export function sampleRequests(): RequestFacts[] {
  return [
    {
      id: 'request-in',
      direction: 'received',
      state: 'requested',
      contact: party(EMPLOYER),
      wanted: 'Your degree certificate',
      purpose: 'Background check before your first day on 1 December',
      createdAt: ago(20 * MINUTE_MS)
    },
    {
      id: 'request-out',
      direction: 'sent',
      state: 'requested',
      contact: party(UNIVERSITY),
      wanted: 'Migration certificate',
      purpose: 'Admission to the master’s programme',
      createdAt: ago(DAY_MS)
    }
  ]
}

/** As the agent derives it: one line for each received grant and request. */
export function inboxOf(
  grants: readonly GrantFacts[],
  requests: readonly RequestFacts[]
): InboxItem[] {
  return [
    ...requests
      .filter((request) => request.direction === 'received')
      .map((request) => ({
        id: request.id,
        kind: 'request' as const,
        state: request.state,
        from: request.contact.name,
        fromDid: request.contact.did,
        subject: request.wanted,
        purpose: request.purpose,
        receivedAt: request.createdAt
      })),
    ...grants
      .filter((grant) => grant.direction === 'received')
      .map((grant) => ({
        id: grant.id,
        kind: 'grant' as const,
        state: grant.state,
        from: grant.contact.name,
        fromDid: grant.contact.did,
        subject: grant.document.name,
        purpose: grant.purpose,
        receivedAt: grant.createdAt,
        ...(grant.expiresAt === undefined ? {} : { expiresAt: grant.expiresAt })
      }))
  ]
}

export function sampleActivity(): ActivityEntry[] {
  const degree = { id: 'degree'.padEnd(26, 'a'), name: 'Degree certificate.pdf' }
  const entries: Omit<ActivityEntry, 'number'>[] = [
    { time: ago(10 * MINUTE_MS), action: 'link-opened', actor: 'link', document: degree },
    {
      time: ago(HOUR_MS),
      action: 'grant-given',
      actor: 'owner',
      document: degree,
      purpose: 'Background check'
    },
    {
      time: ago(3 * HOUR_MS),
      action: 'grant-fetched',
      actor: MARIA,
      actorName: 'Maria Fernandes',
      document: degree,
      purpose: 'Visa application'
    },
    { time: ago(DAY_MS), action: 'document-added', actor: 'owner', document: degree },
    { time: ago(DAY_MS + HOUR_MS), action: 'vault-opened', actor: 'owner' },
    { time: ago(4 * DAY_MS), action: 'recovery-confirmed', actor: 'owner' },
    { time: ago(12 * DAY_MS), action: 'locker-created', actor: 'owner' }
  ]
  return entries.map((entry, place) => ({ ...entry, number: entries.length - place }))
}

export function sampleOutbox(): OutboxItem[] {
  return [
    {
      id: 'message-1',
      to: { did: EMPLOYER, name: 'Deccan Software' },
      type: 'https://elocker.example/protocols/share/1.0/grant',
      state: 'waiting',
      attempts: 3,
      createdAt: ago(HOUR_MS),
      nextAttemptAt: ago(-12 * MINUTE_MS),
      expiresAt: ago(-7 * DAY_MS)
    }
  ]
}

export function sampleTokens(): TokenFacts[] {
  return [
    {
      id: 'token-1',
      name: 'Office scanner',
      scopes: ['documents:write'],
      createdAt: ago(30 * DAY_MS),
      expiresAt: ago(-60 * DAY_MS),
      lastUsedAt: ago(2 * HOUR_MS)
    }
  ]
}

export function sampleInvitation(origin: string): InvitationFacts {
  const message = Buffer.from(JSON.stringify({ type: 'invitation', from: 'x'.repeat(420) }))
  return {
    id: 'invitation-1',
    url: `${origin}/i?_oob=${message.toString('base64url')}`,
    expiresAt: ago(-7 * DAY_MS)
  }
}

const WORDS =
  'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual'

export const SAMPLE_KIT: RecoveryKit = {
  words: WORDS.split(' '),
  documentIdentity: `AGE-SECRET-KEY-PQ-1${'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L'.repeat(2)}`,
  documentRecipient: `age1pq1${'qpzry9x8gf2tvdw0'.repeat(4)}`,
  ask: [3, 11, 20]
}
