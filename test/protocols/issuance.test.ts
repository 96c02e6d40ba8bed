/** Issue Credential 3.0: its table, its page, its bodies and what other software sends. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { advance, type Direction, type Exchange } from '../../protocols/exchange.ts'
import {
  CREDENTIAL_OFFER_FORMAT,
  CREDENTIAL_REQUEST_FORMAT,
  FORM_BYTES_MAX,
  HOLDER_BINDING_FORMAT,
  issuanceAttachment,
  LD_PROOF_FORMAT,
  PREVIEW_BYTES_MAX,
  readIssuance,
  SD_JWT_FORMAT,
  VERIFICATION_BUNDLE_FORMAT
} from '../../protocols/issuance-attachments.ts'
import {
  endingOf,
  isIssuanceMessage,
  issuance,
  issuanceBodies,
  ISSUANCE_PROBLEMS,
  ISSUANCE_STATUS,
  ISSUANCE_TEXT_CHARACTERS_MAX,
  issuanceMessageType,
  ISSUE_CREDENTIAL,
  PREVIEW_ATTRIBUTES_MAX,
  type IssuanceBodyName,
  type IssuanceMessage,
  type IssuanceRole,
  type IssuanceState
} from '../../protocols/issuance.ts'
import { parseMessage, parseMessageType, type Attachment } from '../../protocols/message.ts'
import { problemReport } from '../../protocols/report-problem.ts'

const PAGE = readFileSync(new URL('../../protocols/issuance.md', import.meta.url), 'utf8')
const ROLES: readonly IssuanceRole[] = ['issuer', 'holder']
const STATES: readonly IssuanceState[] = [
  'start',
  'proposed',
  'offered',
  'requested',
  'issued',
  'done',
  'abandoned'
]
const DIRECTIONS: readonly Direction[] = ['send', 'receive']
const MESSAGES: readonly IssuanceMessage[] = [
  'propose-credential',
  'offer-credential',
  'request-credential',
  'issue-credential',
  'ack',
  'pending',
  'problem-report'
]

/**
 * Who may say what in which state, written down a second time by another hand than the table: sender and
 * message, per state. What is not here must be refused in both directions.
 */
const MAY: Readonly<Record<IssuanceState, Readonly<Record<string, IssuanceState>>>> = {
  start: {
    'holder propose-credential': 'proposed',
    'issuer offer-credential': 'offered',
    'holder request-credential': 'requested'
  },
  proposed: {
    'issuer pending': 'proposed',
    'issuer offer-credential': 'offered',
    'holder problem-report': 'abandoned',
    'issuer problem-report': 'abandoned'
  },
  offered: {
    'holder propose-credential': 'proposed',
    'holder request-credential': 'requested',
    'holder problem-report': 'abandoned',
    'issuer problem-report': 'abandoned'
  },
  requested: {
    'issuer pending': 'requested',
    'issuer offer-credential': 'offered',
    'issuer issue-credential': 'issued',
    'holder problem-report': 'abandoned',
    'issuer problem-report': 'abandoned'
  },
  issued: { 'holder ack': 'done', 'holder problem-report': 'abandoned' },
  done: {},
  abandoned: {}
}

const other = (role: IssuanceRole): IssuanceRole => (role === 'issuer' ? 'holder' : 'issuer')
const at = (role: IssuanceRole, state: IssuanceState): Exchange<IssuanceRole, IssuanceState> => ({
  thid: 'thread-1',
  role,
  state
})

/** Rows of the first table of the page whose head begins with these columns. */
function rowsOf(head: RegExp): readonly (readonly string[])[] {
  const lines = PAGE.split('\n')
  const first = lines.findIndex((line) => head.test(line))
  expect(first, 'the table is on the page').to.not.equal(-1)
  const end = lines.findIndex((line, index) => index > first && !line.startsWith('|'))
  return lines.slice(first + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

const text = (count: number): string => 'x'.repeat(count)
const accepts = (name: IssuanceBodyName, body: unknown): boolean =>
  issuanceBodies[name].safeParse(body).success

describe('issue-credential 3.0: role × state × direction × message', () => {
  for (const role of ROLES)
    for (const state of STATES)
      for (const direction of DIRECTIONS)
        for (const message of MESSAGES) {
          const sender = direction === 'send' ? role : other(role)
          const next = MAY[state][`${sender} ${message}`]
          const verb = next === undefined ? 'refuses to' : 'may'
          it(`the ${role} in ${state} ${verb} ${direction} ${message}`, () => {
            const outcome = advance(issuance, at(role, state), direction, message)
            if (next !== undefined) {
              expect(outcome).to.deep.equal({ ok: true, exchange: at(role, next) })
              return
            }
            if (outcome.ok) throw new Error(`went on to ${outcome.exchange.state}`)
            expect(outcome.problem).to.equal('e.p.msg.unexpected')
            const open = Object.keys(MAY[state]).map((each) => {
              const [from = '', name = ''] = each.split(' ')
              return `${from === role ? 'send' : 'receive'} ${name}`
            })
            expect(outcome.expected.toSorted()).to.deep.equal(open.toSorted())
          })
        }

  it('has one row for each role, state, direction and message', () => {
    const keys = issuance.rules.map((row) => row.slice(0, 4).join(' '))
    expect(new Set(keys).size).to.equal(keys.length)
  })

  it('keeps both sides in one state whatever is said in turn', () => {
    const step = fc.tuple(fc.constantFrom(...ROLES), fc.constantFrom(...MESSAGES))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const side = { issuer: at('issuer', 'start'), holder: at('holder', 'start') }
        for (const [sender, message] of steps) {
          const receiver = other(sender)
          const sent = advance(issuance, side[sender], 'send', message)
          const received = advance(issuance, side[receiver], 'receive', message)
          expect(received.ok, `${receiver} and ${message}`).to.equal(sent.ok)
          if (!sent.ok || !received.ok) continue
          side[sender] = sent.exchange
          side[receiver] = received.exchange
          expect(side.issuer.state).to.equal(side.holder.state)
        }
      }),
      { numRuns: 1000 }
    )
  })

  it('lets crossing messages end alike: an offer or a credential that meets a cancellation', () => {
    for (const [state, message] of [
      ['proposed', 'offer-credential'],
      ['requested', 'issue-credential'],
      ['requested', 'offer-credential'],
      ['proposed', 'pending']
    ] as const) {
      const issuer = advance(issuance, at('issuer', state), 'send', message)
      const holder = advance(issuance, at('holder', state), 'send', 'problem-report')
      if (!issuer.ok || !holder.ok) throw new Error('neither can send')
      expect(advance(issuance, holder.exchange, 'receive', message).ok).to.equal(false)
      const end = advance(issuance, issuer.exchange, 'receive', 'problem-report')
      expect(end.ok && end.exchange.state, message).to.equal(holder.exchange.state)
    }
  })
})

describe('the page of issue-credential 3.0', () => {
  it('has the state table of the source', () => {
    expect(rowsOf(/^\| role +\| state/)).to.deep.equal(issuance.rules.map((rule) => [...rule]))
    expect(PAGE).to.include(`\`${ISSUE_CREDENTIAL}\``)
    expect(PAGE).to.include(`\`${ISSUANCE_STATUS}\``)
  })

  it('names every problem code of the source, and no other', () => {
    const named = rowsOf(/^\| code +\| says/).map(([code = '']) => code.replaceAll('`', ''))
    expect(named.toSorted()).to.deep.equal(Object.values(ISSUANCE_PROBLEMS).toSorted())
    for (const code of named)
      expect(problemReport.safeParse({ code }).success, `${code} is a problem code`).to.equal(true)
  })

  it('shows examples that its readers take', () => {
    const examples = new Map(
      [...PAGE.matchAll(/^`([a-z-]+)` —(?:(?!\n`[a-z-]+` —)[\s\S])*?```json\n([\s\S]*?)```/gm)].map(
        (match) => {
          const value: unknown = JSON.parse(match[2] ?? '')
          return [match[1] ?? '', value] as const
        }
      )
    )
    const formats = new Map<IssuanceBodyName, string>([
      ['propose-credential', CREDENTIAL_REQUEST_FORMAT],
      ['offer-credential', CREDENTIAL_OFFER_FORMAT],
      ['request-credential', HOLDER_BINDING_FORMAT]
    ])
    for (const [name, format] of formats) {
      const attachments = [{ format, data: { json: examples.get(name) } }]
      expect(readIssuance(name, { body: {}, attachments }), name).to.deep.include({ ok: true })
    }
    for (const name of ['pending', 'ack'] as const)
      expect(readIssuance(name, { body: examples.get(name) }), name).to.deep.include({ ok: true })
  })
})

const OFFER = {
  issuer: 'did:web:university.example',
  type: 'academic-marksheet',
  version: '1.0.0',
  types: ['AcademicMarksheet'],
  preview: { name: 'Asha' },
  formats: ['vcdm-2.0']
}
const json = (format: string, value: unknown): Attachment => ({ format, data: { json: value } })

/** What reading one attachment says; the body is empty. */
function reading(name: IssuanceBodyName, ...attachments: readonly Attachment[]): unknown {
  return readIssuance(name, { body: {}, attachments })
}
const taken = (name: IssuanceBodyName, format: string, value: unknown): boolean => {
  const result = readIssuance(name, { body: {}, attachments: [json(format, value)] })
  return result.ok
}

const preview = (count: number): unknown => ({
  credential_preview: {
    type: 'https://didcomm.org/issue-credential/3.0/credential-credential',
    body: { attributes: Array.from({ length: count }, () => ({ name: 'a', value: 'b' })) }
  }
})
const request = (form: unknown): boolean =>
  taken('propose-credential', CREDENTIAL_REQUEST_FORMAT, { type: 'marksheet', form })
const offers = (change: object): boolean =>
  taken('offer-credential', CREDENTIAL_OFFER_FORMAT, { ...OFFER, ...change })

describe('issue-credential 3.0 bodies', () => {
  it('are told apart by protocol and name, whatever the name', () => {
    expect(isIssuanceMessage(ISSUE_CREDENTIAL, 'offer-credential')).to.equal(true)
    expect(isIssuanceMessage(ISSUANCE_STATUS, 'pending')).to.equal(true)
    expect(isIssuanceMessage(ISSUE_CREDENTIAL, 'pending')).to.equal(false)
    expect(isIssuanceMessage(ISSUANCE_STATUS, 'ack')).to.equal(false)
    for (const name of ['constructor', '__proto__', 'toString', 'problem-report', ''])
      expect(isIssuanceMessage(ISSUE_CREDENTIAL, name), name).to.equal(false)
    for (const name of Object.keys(issuanceBodies) as IssuanceBodyName[]) {
      const { piuri, name: parsed } = parseMessageType(issuanceMessageType(name))
      expect(isIssuanceMessage(piuri, parsed), name).to.equal(true)
    }
  })

  it('may be empty, but for the acknowledgement', () => {
    for (const name of Object.keys(issuanceBodies) as IssuanceBodyName[])
      expect(accepts(name, {}), name).to.equal(name !== 'ack')
    expect(accepts('ack', { status: 'OK' })).to.equal(true)
    for (const status of ['PENDING', 'FAIL', 'ok', '', 1, null])
      expect(accepts('ack', { status }), String(status)).to.equal(false)
  })

  it('bound every text at its limit', () => {
    const longest = text(ISSUANCE_TEXT_CHARACTERS_MAX)
    for (const name of ['propose-credential', 'offer-credential', 'pending'] as const) {
      expect(accepts(name, { comment: longest })).to.equal(true)
      expect(accepts(name, { comment: `${longest}x` })).to.equal(false)
      expect(accepts(name, { comment: 7 })).to.equal(false)
    }
    expect(accepts('offer-credential', { replacement_id: text(256) })).to.equal(true)
    expect(accepts('offer-credential', { replacement_id: text(257) })).to.equal(false)
    expect(accepts('offer-credential', { replacement_id: '' })).to.equal(false)
    expect(accepts('offer-credential', preview(PREVIEW_ATTRIBUTES_MAX))).to.equal(true)
    expect(accepts('offer-credential', preview(PREVIEW_ATTRIBUTES_MAX + 1))).to.equal(false)
    expect(accepts('propose-credential', { credential_preview: {} })).to.equal(true)
  })

  it('take a time as ISO 8601 in UTC only', () => {
    expect(accepts('pending', { expected_time: '2026-11-26T12:00:00Z' })).to.equal(true)
    for (const expected_time of ['soon', '2026-11-26', 1_774_000_000, '2026-02-30T00:00:00Z'])
      expect(accepts('pending', { expected_time }), String(expected_time)).to.equal(false)
  })

  it('drop members they do not know, whatever their names', () => {
    const hostile: unknown = JSON.parse('{"comment":"a","__proto__":{"x":1},"constructor":1}')
    const body = issuanceBodies['offer-credential'].parse(hostile)
    expect(Object.keys(body)).to.deep.equal(['comment'])
  })

  it('tell a person how a thread ended', () => {
    expect(endingOf('e.p.req.declined')).to.equal('declined')
    expect(endingOf('e.p.req.cancelled')).to.equal('cancelled')
    for (const code of ['e.p.issuance-abandoned', 'e.p.msg.invalid', '__proto__', ''])
      expect(endingOf(code), code).to.equal('failed')
  })
})

describe('issue-credential 3.0 attachments', () => {
  it('are read as they were made, as JSON and as base64', () => {
    const credential = { '@context': ['https://www.w3.org/ns/credentials/v2'], name: 'é' }
    const compact = 'eyJhIjoxfQ.eyJhIjoxfQ.c2ln~WyJhIl0~'
    const attachments = [
      issuanceAttachment(LD_PROOF_FORMAT, credential),
      issuanceAttachment(SD_JWT_FORMAT, compact),
      issuanceAttachment(VERIFICATION_BUNDLE_FORMAT, { v: 1 })
    ]
    expect(readIssuance('issue-credential', { body: {}, attachments })).to.deep.equal({
      ok: true,
      body: {},
      contents: { credential, sdJwt: compact, bundle: { v: 1 } },
      ignored: []
    })
    const encoded = Buffer.from(JSON.stringify(credential))
    for (const base64 of [encoded.toString('base64'), encoded.toString('base64url')]) {
      const attachment = { format: LD_PROOF_FORMAT, data: { base64 } }
      expect(reading('issue-credential', attachment)).to.deep.include({ contents: { credential } })
    }
  })

  it('pass over formats that are not known when a known one is there', () => {
    const offered = reading(
      'offer-credential',
      json('dif/credential-manifest@v1.0', {}),
      json(CREDENTIAL_OFFER_FORMAT, OFFER),
      { data: { json: 1 } }
    )
    expect(offered).to.deep.equal({
      ok: true,
      body: {},
      contents: { offer: OFFER },
      ignored: ['dif/credential-manifest@v1.0', 'none']
    })
  })

  it('are refused by name when none is known', () => {
    expect(reading('offer-credential', json('hlindy/cred-abstract@v2.0', {}))).to.deep.equal({
      ok: false,
      problem: 'e.p.req.format-unsupported',
      comment: 'none of the formats of offer-credential is known here: hlindy/cred-abstract@v2.0'
    })
    expect(reading('offer-credential', json('__proto__', {}))).to.deep.include({ ok: false })
    // A format of another message is not known in this one.
    expect(taken('ack', LD_PROOF_FORMAT, {})).to.equal(false)
  })

  it('stand once each', () => {
    const twice = [json(CREDENTIAL_OFFER_FORMAT, OFFER), json(CREDENTIAL_OFFER_FORMAT, OFFER)]
    expect(reading('offer-credential', ...twice)).to.deep.include({ problem: 'e.p.msg.invalid' })
  })

  it('carry their data inline and in one encoding', () => {
    const broken: readonly Attachment['data'][] = [
      { links: ['https://university.example/offer'], hash: 'zQm' },
      { base64: '***' },
      { base64: 'e30x' },
      { base64: 'A' },
      { base64: Buffer.from('{"a":1,"a":2}').toString('base64url') },
      { base64: Buffer.from([0x22, 0xff, 0x22]).toString('base64url') }
    ]
    for (const data of broken)
      expect(
        reading('offer-credential', { format: CREDENTIAL_OFFER_FORMAT, data }),
        JSON.stringify(data)
      ).to.deep.include({ ok: false, problem: 'e.p.msg.invalid' })
  })

  it('are needed where a credential is issued', () => {
    expect(reading('issue-credential')).to.deep.include({ ok: false, problem: 'e.p.msg.invalid' })
    expect(taken('issue-credential', VERIFICATION_BUNDLE_FORMAT, { v: 1 })).to.equal(false)
    expect(taken('issue-credential', LD_PROOF_FORMAT, [1])).to.equal(false)
    for (const compact of ['', 'a.b.c', 'a.b~', 'a.b.c~d', 'a.b.c~ ~', 1, { a: 1 }])
      expect(taken('issue-credential', SD_JWT_FORMAT, compact), JSON.stringify(compact)).to.equal(
        false
      )
  })

  it('bound what the holder fills in and what the issuer shows', () => {
    // {"a":"…"} is eight bytes longer than its text.
    expect(request({ a: text(FORM_BYTES_MAX - 8) })).to.equal(true)
    expect(request({ a: text(FORM_BYTES_MAX - 7) })).to.equal(false)
    // Bytes, not characters.
    expect(request({ a: 'é'.repeat(FORM_BYTES_MAX / 2) })).to.equal(false)
    for (const form of [[], null, 'a', { a: '\ud800' }])
      expect(request(form), JSON.stringify(form)).to.equal(false)
    expect(offers({ preview: { a: text(PREVIEW_BYTES_MAX - 8) } })).to.equal(true)
    expect(offers({ preview: { a: text(PREVIEW_BYTES_MAX - 7) } })).to.equal(false)
  })

  it('refuse offers that cannot be', () => {
    expect(offers({})).to.equal(true)
    const wrong: readonly object[] = [
      { issuer: 'https://university.example' },
      { issuer: 'did:web:a.example/path' },
      { type: 'Academic Marksheet' },
      { type: '../x' },
      { type: text(65) },
      { version: '1.0' },
      { version: '01.0.0' },
      { version: '1.0.0-beta' },
      { types: [] },
      { types: Array(17).fill('A') },
      { formats: [] },
      { formats: ['jwt-vc'] },
      { preview: [] },
      { valid_until: 'tomorrow' },
      { binding: { challenge: 'short', domain: 'd' } },
      { binding: { challenge: text(16) } },
      { replaces: '' }
    ]
    for (const change of wrong) expect(offers(change), JSON.stringify(change)).to.equal(false)
  })

  it('keep every member of a holder binding, for they are signed', () => {
    const binding = { holder: 'did:key:z6Mk', type: 'HolderBinding', extra: 1, proof: { a: 1 } }
    expect(reading('request-credential', json(HOLDER_BINDING_FORMAT, binding))).to.deep.include({
      contents: { binding }
    })
    for (const change of [{ holder: 'Asha' }, { type: 'Binding' }, { proof: [] }, { proof: 'x' }])
      expect(
        taken('request-credential', HOLDER_BINDING_FORMAT, { ...binding, ...change })
      ).to.equal(false)
  })

  it('never throw, whatever is in them', () => {
    const formats = fc.constantFrom(
      CREDENTIAL_OFFER_FORMAT,
      CREDENTIAL_REQUEST_FORMAT,
      HOLDER_BINDING_FORMAT,
      LD_PROOF_FORMAT,
      SD_JWT_FORMAT,
      VERIFICATION_BUNDLE_FORMAT,
      '__proto__'
    )
    const names = fc.constantFrom(...(Object.keys(issuanceBodies) as IssuanceBodyName[]))
    const data = fc.oneof(
      fc.record({ json: fc.jsonValue() }),
      fc.record({ base64: fc.base64String() })
    )
    fc.assert(
      fc.property(names, fc.jsonValue(), formats, data, (name, body, format, held) => {
        const read = readIssuance(name, { body, attachments: [{ format, data: held }] })
        expect(read.ok || read.problem.startsWith('e.p.')).to.equal(true)
      }),
      { numRuns: 500 }
    )
  })
})

const VECTORS = join(process.env['ELOCKER_VECTORS'] ?? '../shared/vectors', 'waci/issuance')

describe('issue-credential 3.0 of others: the WACI vectors', () => {
  const found = existsSync(VECTORS) ? readdirSync(VECTORS) : []

  before(function () {
    if (found.length > 0) return
    console.log(`      no vectors at ${VECTORS}`)
    this.skip()
  })

  const read = (number: number): ReturnType<typeof readIssuance> => {
    const file = found.find((name) => name.startsWith(`${number}.`)) ?? ''
    const message = parseMessage(JSON.parse(readFileSync(join(VECTORS, file), 'utf8')))
    const { piuri, name } = parseMessageType(message.type)
    if (!isIssuanceMessage(piuri, name)) throw new Error(`${message.type} is not of the protocol`)
    return readIssuance(name, message)
  }

  it('takes their proposal and their acknowledgement', () => {
    expect(read(2)).to.deep.equal({ ok: true, body: {}, contents: {}, ignored: [] })
    expect(read(6)).to.deep.equal({ ok: true, body: { status: 'OK' }, contents: {}, ignored: [] })
  })

  it('names the formats of their offer, request and issue, which are not ours', () => {
    for (const number of [3, 4, 5]) {
      const refused = read(number)
      if (refused.ok) throw new Error('taken')
      expect(refused.problem).to.equal('e.p.req.format-unsupported')
      expect(refused.comment).to.include('dif/credential-manifest/')
    }
  })
})
