/**
 * Claims for each of the seven credential types, of people who do not exist. Amounts, shares and totals add
 * up: test/protocols/credential/credential-type.test.ts holds them to that.
 */
import type { JsonObject } from '../protocols/credential/json.ts'

export const HOLDER = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'

const academicMarksheet: JsonObject = {
  id: HOLDER,
  documentNumber: 'MS-2026-004711',
  name: 'Asha Kulkarni',
  fatherName: 'Vijay Kulkarni',
  motherName: 'सुनीता कुलकर्णी',
  dateOfBirth: '2004-02-29',
  rollNumber: '21CS0471',
  registrationNumber: 'VTU/2022/118364',
  institute: 'Sahyadri College of Engineering',
  board: 'Western Ghats Technological University',
  programme: 'Bachelor of Engineering, Computer Science',
  qualificationLevel: 'NHEQF level 6',
  fieldOfStudy: 'Computer Science',
  medium: 'English',
  examination: 'Semester VI, May 2026',
  attainmentDate: '2026-06-30',
  subjects: [
    {
      code: 'CS61',
      name: 'Compilers',
      theoryMarks: 62,
      practicalMarks: 18,
      totalMarks: 80,
      maximumMarks: 100,
      credits: 4,
      grade: 'A'
    },
    {
      code: 'CS62',
      name: 'Distributed Systems',
      theoryMarks: 71,
      practicalMarks: 19,
      totalMarks: 90,
      maximumMarks: 100,
      credits: 4,
      grade: 'A+'
    },
    {
      code: 'HS63',
      name: 'ಕನ್ನಡ ಸಾಹಿತ್ಯ',
      totalMarks: 67.5,
      maximumMarks: 100,
      credits: 2,
      grade: 'B+'
    }
  ],
  totalMarks: 237.5,
  maximumMarks: 300,
  percentage: 79.17,
  cgpa: 8.4,
  division: 'first',
  result: 'pass'
}

const governmentId: JsonObject = {
  id: HOLDER,
  documentNumber: 'KA-ID-88213409',
  familyName: 'Kulkarni',
  givenName: 'Asha',
  birthDate: '2004-02-29',
  ageOver18: true,
  birthPlace: { locality: 'Hubballi', region: 'Karnataka', country: 'IN' },
  nationalities: ['IN'],
  sex: 2,
  portrait:
    'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  residentAddress: {
    street: 'Station Road',
    houseNumber: '14/2',
    locality: 'Hubballi',
    region: 'Karnataka',
    postalCode: '580020',
    country: 'IN'
  },
  personalAdministrativeNumber: 'XK-4471-9023',
  emailAddress: 'asha@example.org',
  mobilePhoneNumber: '+91 98450 00000',
  issuingAuthority: 'Department of Civil Registration',
  issuingCountry: 'IN',
  issuingJurisdiction: 'IN-KA',
  issuanceDate: '2026-01-05',
  expiryDate: '2036-01-04'
}

const insurancePolicy: JsonObject = {
  id: HOLDER,
  policyNumber: 'OG-26-1701-1802-00004711',
  policyName: 'Two-wheeler comprehensive',
  lineOfBusiness: 'motor',
  insurer: 'Deccan General Insurance',
  name: 'Asha Kulkarni',
  dateOfBirth: '2004-02-29',
  gender: 'female',
  mobile: '+919845000000',
  email: 'asha@example.org',
  issuedOn: '2026-03-31',
  coverFrom: '2026-04-01',
  coverUntil: '2027-03-31',
  sumInsured: { amount: '82500.00', currency: 'INR' },
  premium: { amount: '1844.50', currency: 'INR', frequency: 'yearly' },
  deductible: { amount: '100', currency: 'INR' },
  benefits: ['Own damage', 'Third party', 'Personal accident cover of the owner'],
  nominees: [
    { name: 'Vijay Kulkarni', relation: 'father', sharePercent: 50 },
    { name: 'Sunita Kulkarni', relation: 'mother', sharePercent: 50 }
  ],
  vehicle: {
    registrationNumber: 'KA 25 EX 4711',
    engineNumber: 'JF50E81234567',
    chassisNumber: 'ME4JF502FG8123456',
    makeAndModel: 'Honda Activa 125'
  }
}

const bankStatement: JsonObject = {
  id: HOLDER,
  bank: 'Malaprabha Grameena Bank',
  branch: 'Hubballi Station Road',
  ifscCode: 'MGBK0000471',
  micrCode: '580123471',
  maskedAccountNumber: 'XXXXXXXX4711',
  accountReference: 'f1c2d3e4-471',
  accountKind: 'SAVINGS',
  accountStatus: 'ACTIVE',
  openedOn: '2022-08-01',
  holding: 'SINGLE',
  holders: [
    {
      name: 'Asha Kulkarni',
      dateOfBirth: '2004-02-29',
      mobile: '+919845000000',
      email: 'asha@example.org',
      address: '14/2 Station Road, Hubballi 580020',
      pan: 'ABCPK1234F',
      nominee: 'REGISTERED',
      ckycCompliant: true
    }
  ],
  currency: 'INR',
  periodFrom: '2026-09-01',
  periodUntil: '2026-09-30',
  openingBalance: '10250.75',
  closingBalance: '30740.25',
  currentBalance: '30740.25',
  balanceAt: '2026-10-01T00:00:00+05:30',
  facility: 'NONE',
  transactions: [
    {
      transactionId: 'S471-1',
      kind: 'CREDIT',
      mode: 'FT',
      amount: '24000.00',
      balance: '34250.75',
      at: '2026-09-01T10:12:00+05:30',
      valueDate: '2026-09-01',
      narration: 'Stipend September',
      reference: 'NEFT/000471'
    },
    {
      transactionId: 'S471-2',
      kind: 'DEBIT',
      mode: 'UPI',
      amount: '3510.50',
      balance: '30740.25',
      at: '2026-09-14T18:40:31+05:30',
      valueDate: '2026-09-14',
      narration: 'Books'
    }
  ]
}

const skillBadge: JsonObject = {
  id: HOLDER,
  type: ['AchievementSubject'],
  identifier: [
    { type: 'IdentityObject', hashed: false, identityHash: 'Asha Kulkarni', identityType: 'name' }
  ],
  activityStartDate: '2026-02-02T00:00:00Z',
  activityEndDate: '2026-05-29T00:00:00Z',
  creditsEarned: 3,
  achievement: {
    id: 'https://skills.example/achievements/solar-2',
    type: ['Achievement'],
    achievementType: 'Certificate',
    name: 'Solar panel installation, level 2',
    description: 'Installs and tests roof-top photovoltaic systems of up to 10 kW.',
    criteria: { narrative: 'Sixty hours of practice and a supervised installation.' },
    fieldOfStudy: 'Renewable energy',
    humanCode: 'SOL-2',
    tag: ['solar', 'electrician'],
    alignment: [
      {
        type: ['Alignment'],
        targetName: 'Solar PV Installer (Suryamitra)',
        targetUrl: 'https://skills.example/frameworks/nsqf/SGJ-Q0101',
        targetFramework: 'NSQF',
        targetCode: 'SGJ/Q0101'
      }
    ]
  },
  result: [{ type: ['Result'], value: '86', status: 'Completed' }]
}

const vaccination: JsonObject = {
  id: HOLDER,
  certificateNumber: 'VC-2026-90018',
  preEnrollmentCode: '4711-22',
  recipient: {
    name: 'Asha Kulkarni',
    dateOfBirth: '2004-02-29',
    age: 22,
    gender: 'female',
    identity: 'KA-ID-88213409',
    nationality: 'IN',
    mobile: '+919845000000',
    address: '14/2 Station Road, Hubballi 580020'
  },
  vaccine: {
    disease: 'Yellow fever',
    medicinalProductName: 'Stamaril',
    atcCode: 'J07BL01',
    manufacturer: 'Sanofi Pasteur',
    marketingAuthorizationHolder: 'Sanofi Pasteur'
  },
  batchNumber: 'Y4711A',
  dateOfVaccination: '2026-07-14',
  dose: 1,
  totalDoses: 1,
  effectiveFrom: '2026-07-24',
  vaccinator: 'Dr. R. Patil',
  facility: { name: 'District Hospital', district: 'Dharwad', region: 'Karnataka' },
  countryOfVaccination: 'IN',
  comorbidities: ['asthma']
}

const landRecord: JsonObject = {
  id: HOLDER,
  documentNumber: 'RTC-2026-118',
  parcelId: '29KA4711000123',
  surveyNumber: '118',
  subdivision: '2A',
  khataNumber: '471',
  registrationNumber: 'DWD-1-04711-2019-20',
  registeredOn: '2019-11-21',
  state: 'Karnataka',
  district: 'Dharwad',
  taluk: 'Kalghatgi',
  village: 'ಹಿರೇಹೊನ್ನಿಹಳ್ಳಿ',
  villageCode: '602471',
  area: { value: 1.21, unit: 'hectare', localUnits: '2 acres 39 guntas' },
  classification: 'agricultural',
  owners: [
    { name: 'Asha Kulkarni', fatherName: 'Vijay Kulkarni', sharePercent: 62.5, ownership: 'joint' },
    { name: 'Ravi Kulkarni', fatherName: 'Vijay Kulkarni', sharePercent: 37.5, ownership: 'joint' }
  ],
  occupants: [{ name: 'Basavaraj M.', tenure: 'lease since 2021' }],
  crops: [{ name: 'Maize', season: 'kharif', year: 2026, areaHectares: 1.1 }],
  encumbrances: [
    {
      kind: 'mortgage',
      details: 'Crop loan of 80,000 rupees, Malaprabha Grameena Bank',
      entryNumber: 'E-118/4'
    }
  ],
  mutations: [
    {
      number: 'MR-44',
      date: '2019-12-02',
      kind: 'inheritance',
      from: 'Vijay Kulkarni',
      to: 'Asha and Ravi Kulkarni'
    }
  ],
  boundary:
    '{"type":"Polygon","coordinates":[[[75.01,15.18],[75.02,15.18],[75.02,15.19],[75.01,15.18]]]}',
  asOn: '2026-11-01'
}

/** By the id of the credential type. */
export const SAMPLE_CLAIMS: ReadonlyMap<string, JsonObject> = new Map([
  ['academic-marksheet', academicMarksheet],
  ['government-id', governmentId],
  ['insurance-policy', insurancePolicy],
  ['bank-statement', bankStatement],
  ['skill-badge', skillBadge],
  ['vaccination', vaccination],
  ['land-record', landRecord]
])

/** What a holder fills in to have each of them fetched. */
export const SAMPLE_FORMS: ReadonlyMap<string, JsonObject> = new Map([
  [
    'academic-marksheet',
    { rollNumber: '21CS0471', examination: 'Semester VI, May 2026', name: 'Asha Kulkarni' }
  ],
  [
    'government-id',
    { documentNumber: 'KA-ID-88213409', familyName: 'Kulkarni', birthDate: '2004-02-29' }
  ],
  ['insurance-policy', { policyNumber: 'OG-26-1701-1802-00004711', name: 'Asha Kulkarni' }],
  [
    'bank-statement',
    { maskedAccountNumber: 'XXXXXXXX4711', periodFrom: '2026-09-01', periodUntil: '2026-09-30' }
  ],
  ['skill-badge', { humanCode: 'SOL-2' }],
  ['vaccination', { name: 'Asha Kulkarni', dateOfVaccination: '2026-07-14' }],
  [
    'land-record',
    { surveyNumber: '118', subdivision: '2A', village: 'ಹಿರೇಹೊನ್ನಿಹಳ್ಳಿ', district: 'Dharwad' }
  ]
])
