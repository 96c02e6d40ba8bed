/** A registry in a locker of its own, with one credential type, for the tests of the registry. */
import { openAudit, type Audit } from '../../agent/audit.ts'
import { openCredentialTypes, type CredentialTypes } from '../../agent/credential-types.ts'
import type { Records } from '../../agent/records.ts'
import { openRegistry, type Registry } from '../../agent/registry.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { ManualClock, secureRandom } from './faults.ts'
import { failure, Home } from './record-home.ts'

export const TYPE: JsonObject = {
  id: 'enrolment',
  version: '1.0.0',
  category: 'education',
  types: ['Enrolment'],
  schema: {
    type: 'object',
    properties: {
      rollNumber: { type: 'string', title: 'Roll number', maxLength: 64 },
      name: { type: 'string', title: 'Name', minLength: 1 },
      dateOfBirth: { type: 'string', format: 'date', title: 'Date of birth' },
      year: { type: 'integer', title: 'Year' },
      fullTime: { type: 'boolean', title: 'Full time' },
      result: { enum: ['Pass', 'Fail'], title: 'Result' },
      guardian: {
        type: 'object',
        title: 'Guardian',
        properties: { phone: { type: 'string', title: 'Phone' } }
      },
      marks: { type: 'array', title: 'Marks', items: { type: 'integer' } },
      remark: { type: 'string', title: 'Remark', maxLength: 100_000 }
    },
    required: ['rollNumber', 'name'],
    additionalProperties: false
  },
  display: {
    en: { name: 'Enrolment', fields: { '/rollNumber': { label: 'Roll no.' } } },
    hi: { name: 'नामांकन', fields: { '/name': { label: 'नाम' } } }
  },
  disclosure: {},
  template: 'certificate',
  search: ['/rollNumber', '/name', '/guardian/phone'],
  form: {
    type: 'object',
    properties: {
      rollNumber: { type: 'string', title: 'Roll number' },
      name: { type: 'string', title: 'Name' },
      dateOfBirth: { type: 'string', title: 'Date of birth' },
      phone: { type: 'string', title: 'Phone of the guardian' },
      term: { type: 'string', title: 'For which purpose' }
    },
    additionalProperties: false
  }
}

export const ASHA: JsonObject = {
  rollNumber: 'A-118/24',
  name: 'Asha Rao',
  dateOfBirth: '2003-05-17',
  year: 2,
  guardian: { phone: '098 765' }
}

export const student = (number: number, change: JsonObject = {}): JsonObject => ({
  rollNumber: `R${number}`,
  name: `Student ${number}`,
  dateOfBirth: '2004-01-01',
  ...change
})

export async function* rowsOf(...rows: readonly unknown[]): AsyncGenerator {
  yield* rows
}

export async function* textOf(
  ...parts: ReadonlyArray<string | Uint8Array>
): AsyncGenerator<string | Uint8Array> {
  yield* parts
}

export const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code

/** What the registry stands on; {@link open} again opens the same home. */
export interface RegistryHome {
  readonly home: Home
  readonly clock: ManualClock
  readonly records: Records
  readonly audit: Audit
  readonly types: CredentialTypes
  readonly registry: Registry
}

export async function openRegistryHome(
  home = new Home(),
  clock = new ManualClock()
): Promise<RegistryHome> {
  const records = await home.open()
  const audit = await openAudit({ records, clock })
  const types = await openCredentialTypes({ records, audit, clock })
  const registry = openRegistry({ records, audit, clock, random: secureRandom, types })
  return { home, clock, records, audit, types, registry }
}
