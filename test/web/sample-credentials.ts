/**
 * Credentials for the mock gateway: one that is kept and holds, one that its issuer has revoked, one that the
 * owner has written themselves, an offer, and an institution that issues.
 *
 * @module
 */
import { readFileSync, readdirSync } from 'node:fs'
import type {
  CredentialFacts,
  IssuanceFacts,
  IssuedFacts,
  Verification
} from '../../agent/agent.ts'
import type { TypeFacts } from '../../agent/credential-types.ts'
import type { IssuerFacts } from '../../agent/issuer.ts'
import type { Check } from '../../protocols/credential/checks.ts'
import { credentialType } from '../../protocols/credential/credential-type.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { MARIA, UNIVERSITY, ago } from './sample-locker.ts'

const DAY_MS = 86_400_000
const ISSUER = 'did:web:unipune.example'
const HOLDER = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'
const TYPES = new URL('../../agent/credential-types/', import.meta.url)

const MARKSHEET: JsonObject = {
  documentNumber: 'UP/2024/0871',
  name: 'Asha Kulkarni',
  dateOfBirth: '2002-03-14',
  rollNumber: '18-2203',
  institute: 'Fergusson College (Autonomous), Pune',
  programme: 'Bachelor of Science',
  examination: 'Final examination, April 2024',
  subjects: [
    { code: 'PH601', name: 'Quantum mechanics', marksObtained: 81, marksMaximum: 100, grade: 'A' },
    {
      code: 'PH602',
      name: 'Statistical physics and thermodynamics',
      marksObtained: 74,
      grade: 'B+'
    }
  ],
  result: 'PASS'
}

const CHECKS: readonly Check[] = [
  {
    name: 'structure',
    outcome: 'passed',
    code: 'structure-sound',
    reason: 'It is a credential of the W3C data model, version 2.0.'
  },
  {
    name: 'schema',
    outcome: 'passed',
    code: 'schema-conforms',
    reason: 'Its claims follow the schema.'
  },
  { name: 'proof', outcome: 'passed', code: 'proof-fits', reason: 'The proof fits.' },
  {
    name: 'issuer-key',
    outcome: 'passed',
    code: 'key-current',
    reason: 'The key is the issuer’s.'
  },
  { name: 'validity', outcome: 'passed', code: 'validity-open', reason: 'It has no end.' },
  { name: 'status', outcome: 'passed', code: 'status-clear', reason: 'It was not revoked.' },
  {
    name: 'holder-binding',
    outcome: 'not-applicable',
    code: 'holder-not-asked',
    reason: 'Nobody was asked to show that it is theirs.'
  },
  {
    name: 'issuer-trust',
    outcome: 'passed',
    code: 'trust-own-contact',
    reason: 'It is one of your own contacts.'
  }
]

/** By document: what is kept, what it says, and the verdict. */
export interface SampleCredential {
  readonly document: string
  readonly name: string
  readonly content: string
  /** Absent for one that did not come through this locker. */
  readonly facts?: CredentialFacts
  readonly verification: Verification
}

function sample(
  document: string,
  name: string,
  options: {
    readonly state?: CredentialFacts['state']
    readonly own?: boolean
    readonly subject?: JsonObject
  } = {}
): SampleCredential {
  const { state = 'current', own = false, subject = MARKSHEET } = options
  const id = document.padEnd(26, 'a')
  const issuer = own ? HOLDER : ISSUER
  const revoked = state === 'revoked'
  const types = own ? ['SelfDeclaration'] : ['AcademicMarksheet']
  const checks = revoked
    ? CHECKS.map((check): Check =>
        check.name === 'status'
          ? {
              name: 'status',
              outcome: 'failed',
              code: 'revoked',
              reason:
                'The issuer has revoked it, according to its list of 23 November 2026, 10:00 UTC.'
            }
          : check
      )
    : CHECKS
  const result = revoked ? 'revoked' : 'valid'
  const facts: CredentialFacts = {
    id,
    name,
    credentialId: `urn:uuid:${document}`,
    type: 'academic-marksheet',
    version: '1.0.0',
    types,
    format: 'vcdm-2.0',
    issuer,
    from: { did: UNIVERSITY, name: 'University of Pune, examinations' },
    subject: HOLDER,
    state,
    ...(revoked ? { reason: 'Marks were entered for another student.', stateAt: ago(DAY_MS) } : {}),
    validFrom: ago(20 * DAY_MS),
    receivedAt: ago(19 * DAY_MS),
    thid: `thread-${document}`
  }
  return {
    document: id,
    name,
    content: JSON.stringify({
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiableCredential', ...types],
      issuer,
      credentialSubject: { id: HOLDER, ...subject }
    }),
    ...(own ? {} : { facts }),
    verification: {
      carrier: 'json',
      result,
      verdicts: [
        {
          result,
          format: 'vcdm-2.0',
          checks,
          issuer: own
            ? { did: HOLDER, trust: 'unknown' }
            : { did: ISSUER, name: 'University of Pune, examinations', trust: 'own-contact' },
          subject: HOLDER,
          types,
          checkedAt: ago(0),
          offline: false,
          declaredBy: own ? 'holder' : 'issuer'
        }
      ]
    }
  }
}

export function sampleCredentials(): readonly SampleCredential[] {
  return [
    sample('marksheet', 'Marksheet, final year.json'),
    sample('revoked', 'Marksheet, second year.json', { state: 'revoked' }),
    sample('declared', 'My languages.json', {
      own: true,
      subject: { name: 'Asha Kulkarni', languages: ['Marathi', 'हिन्दी', 'English'] }
    })
  ]
}

/** An offer that waits for the owner, a request that takes longer, and one that has come to its end. */
export function sampleExchanges(): IssuanceFacts[] {
  const university = { did: UNIVERSITY, name: 'University of Pune, examinations' }
  const common = { role: 'holder', type: 'academic-marksheet', with: university } as const
  return [
    {
      ...common,
      thid: 'thread-offer',
      state: 'offered',
      openedBy: 'them',
      createdAt: ago(3_600_000),
      at: ago(3_600_000),
      reason: 'Your marksheet of the final year is ready.',
      offer: {
        issuer: ISSUER,
        type: 'academic-marksheet',
        version: '1.0.0',
        types: ['AcademicMarksheet'],
        preview: MARKSHEET,
        formats: ['vcdm-2.0'],
        valid_until: ago(-3_000 * DAY_MS)
      },
      attention: 'accept'
    },
    {
      ...common,
      thid: 'thread-asked',
      state: 'proposed',
      openedBy: 'us',
      createdAt: ago(2 * DAY_MS),
      at: ago(DAY_MS),
      expectedAt: ago(-3 * DAY_MS),
      reason: 'Records of that year are on paper.'
    },
    {
      ...common,
      thid: 'thread-marksheet',
      state: 'done',
      openedBy: 'them',
      createdAt: ago(20 * DAY_MS),
      at: ago(19 * DAY_MS),
      credentialId: 'marksheet'.padEnd(26, 'a')
    }
  ]
}

export function sampleIssuer(): IssuerFacts {
  return {
    did: ISSUER,
    domain: 'unipune.example',
    names: { en: 'University of Pune', hi: 'पुणे विश्वविद्यालय' },
    categories: ['education'],
    secondApproval: false,
    createdAt: ago(90 * DAY_MS),
    keys: [{ id: `${ISSUER}#key-1`, createdAt: ago(90 * DAY_MS) }]
  }
}

/** The types that come with the program; the marksheet published. */
export function sampleTypes(): TypeFacts[] {
  return readdirSync(TYPES)
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const type = credentialType.parse(JSON.parse(readFileSync(new URL(name, TYPES), 'utf8')))
      return type.id === 'academic-marksheet'
        ? { type, state: 'published', builtIn: false, publishedAt: ago(80 * DAY_MS) }
        : { type, state: 'draft', builtIn: true }
    })
}

/** One of each state that a clerk meets. */
export function sampleIssued(): IssuedFacts[] {
  const made = (
    id: string,
    name: string,
    states: Pick<IssuedFacts, 'state' | 'status'> & Partial<IssuedFacts>
  ): IssuedFacts => ({
    id,
    type: 'academic-marksheet',
    version: '1.0.0',
    format: 'vcdm-2.0',
    credentialId: `urn:uuid:7d1c2d0e-6a1f-4f8c-9d55-${id.padEnd(12, '0')}`,
    series: id,
    to: { did: MARIA, name },
    claims: { ...MARKSHEET, name },
    validFrom: ago(DAY_MS),
    preparedBy: 'owner',
    createdAt: ago(DAY_MS),
    history: [{ at: ago(DAY_MS), by: 'owner', what: 'prepared' }],
    ...states
  })
  return [
    made('one', 'Asha Kulkarni', { state: 'accepted', status: 'valid', issuedAt: ago(80_000) }),
    made('two', 'Maria Fernandes', { state: 'offered', status: 'unsigned' }),
    made('three', 'Venkatanarasimharajuvaripeta Subrahmanyam', {
      state: 'accepted',
      status: 'suspended',
      reason: 'The fee is not settled.'
    }),
    made('four', 'R. Iyer', {
      state: 'accepted',
      status: 'revoked',
      reason: 'Issued to the wrong person.',
      history: [
        { at: ago(2 * DAY_MS), by: 'owner', what: 'prepared' },
        { at: ago(DAY_MS), by: 'owner', what: 'revoked', reason: 'Issued to the wrong person.' }
      ]
    })
  ]
}
