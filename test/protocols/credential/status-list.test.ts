import { gunzipSync, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import fc from 'fast-check'
import { systemRandom } from '../../../node/clock.ts'
import { parseCredential } from '../../../protocols/credential/credential.ts'
import { STATUS_LIST_CHARS_MAX } from '../../../protocols/credential/status-list-encoding.ts'
import {
  decodeList,
  encodeList,
  getStatus,
  STATUS_LIST_BYTES_MAX,
  STATUS_LIST_ENTRIES,
  newBitstring,
  openStatusList,
  pickIndex,
  readStatus,
  setStatus,
  statusIn,
  statusListCredential,
  statusListUrl,
  STATUS_TTL_DEFAULT_MS,
  type StatusFault
} from '../../../protocols/credential/status-list.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { refused } from '../../refusal.ts'

const URL_OF_LIST = 'https://uni.example/status-lists/3'

/** The list in the examples of W3C Bitstring Status List 1.0: 131,072 entries, none set. */
const SPECIFICATION_LIST = 'uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA'

const encoded = (bytes: Uint8Array): string => `u${gzipSync(bytes).toString('base64url')}`

function entry(index: number | string, changes: JsonObject = {}): JsonObject {
  return {
    id: `${URL_OF_LIST}#${index}`,
    type: 'BitstringStatusListEntry',
    statusPurpose: 'revocation',
    statusListIndex: String(index),
    statusListCredential: URL_OF_LIST,
    ...changes
  }
}

/** Microseconds of processor time, whatever else the machine is doing. */
async function cpuOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function listOf(bits: Uint8Array, changes: JsonObject = {}): Promise<JsonObject> {
  const list = await statusListCredential({
    id: URL_OF_LIST,
    issuer: 'did:web:uni.example',
    purpose: 'revocation',
    bits,
    validFrom: new Date('2026-11-23T10:00:00Z'),
    ttlMs: 60_000
  })
  const subject = { ...(list['credentialSubject'] as JsonObject), ...changes }
  return { ...list, credentialSubject: subject }
}

describe('Status list: bits', () => {
  it('counts from the highest bit of the first byte', () => {
    const bits = newBitstring()
    expect(setStatus(bits, 0, true)[0]).to.equal(0x80)
    expect(setStatus(bits, 7, true)[0]).to.equal(0x01)
    expect(setStatus(bits, 8, true)[1]).to.equal(0x80)
  })

  it('sets and clears one entry and no other, in a copy', () => {
    fc.assert(
      fc.property(
        fc.nat(STATUS_LIST_ENTRIES - 1),
        fc.nat(STATUS_LIST_ENTRIES - 1),
        (one, other) => {
          const none = newBitstring()
          const set = setStatus(none, one, true)
          expect(getStatus(none, one)).to.equal(false)
          expect(getStatus(set, one)).to.equal(true)
          expect(getStatus(set, other)).to.equal(one === other)
          expect(setStatus(set, one, false)).to.deep.equal(none)
        }
      ),
      { numRuns: 50 }
    )
  })

  for (const index of [-1, STATUS_LIST_ENTRIES, 0.5, Number.NaN, 2 ** 40]) {
    it(`refuses index ${index}`, async () => {
      const bits = newBitstring()
      await refused(() => getStatus(bits, index), 'limit-exceeded')
      await refused(() => setStatus(bits, index, true), 'limit-exceeded')
    })
  }

  it('has at least 131,072 entries and at most a mebibyte', async () => {
    expect(newBitstring().length).to.equal(16_384)
    expect(newBitstring(STATUS_LIST_BYTES_MAX * 8).length).to.equal(STATUS_LIST_BYTES_MAX)
    for (const entries of [
      0,
      STATUS_LIST_ENTRIES - 8,
      STATUS_LIST_ENTRIES + 1,
      STATUS_LIST_BYTES_MAX * 8 + 8
    ]) {
      await refused(() => newBitstring(entries), 'credential-malformed')
    }
  })
})

describe('Status list: a free entry', () => {
  it('is any of them, evenly', () => {
    const taken = newBitstring()
    const parts = new Uint32Array(16)
    for (let draw = 0; draw < 16_000; draw++) {
      const at = pickIndex(taken, systemRandom)
      parts[Math.floor((at / STATUS_LIST_ENTRIES) * parts.length)]! += 1
    }
    // 1,000 expected in each; the standard deviation is 31, so 6 of them are one chance in 5 × 10^8.
    for (const count of parts) expect(count).to.be.within(814, 1186)
  })

  it('is never one that is taken', () => {
    let taken = newBitstring().fill(0xff, 8)
    for (let left = 64; left > 0; left--) {
      const index = pickIndex(taken, systemRandom)
      expect(index).to.be.lessThan(64)
      expect(getStatus(taken, index)).to.equal(false)
      taken = setStatus(taken, index, true)
    }
    expect(taken.every((byte) => byte === 0xff)).to.equal(true)
  })

  it('is spread evenly over the few that are left', () => {
    const free = [3, 70_000, 131_071]
    const taken = free.reduce(
      (bits, index) => setStatus(bits, index, false),
      newBitstring().fill(0xff)
    )
    const counts = new Map<number, number>()
    for (let draw = 0; draw < 300; draw++) {
      const index = pickIndex(taken, systemRandom)
      counts.set(index, (counts.get(index) ?? 0) + 1)
    }
    expect([...counts.keys()]).to.have.members(free)
    for (const count of counts.values()) expect(count).to.be.within(50, 150)
  })

  it('does not exist in a full list', () =>
    refused(() => pickIndex(newBitstring().fill(0xff), systemRandom), 'limit-exceeded'))

  it('does not prefer small numbers: draws beyond the last whole multiple are drawn again', () => {
    const draws = [Uint8Array.of(255, 255, 255, 255), Uint8Array.of(0, 0, 0, 5)]
    // 131,080 entries do not divide 2^32.
    expect(pickIndex(newBitstring(131_080), () => draws.shift() ?? new Uint8Array(4))).to.equal(5)
  })
})

describe('Status list: encoding', () => {
  it('decodes the example of the specification', async () => {
    const bits = await decodeList(SPECIFICATION_LIST)
    expect(bits).to.deep.equal(newBitstring())
  })

  it('comes back as it was', async () => {
    const sizes = [
      STATUS_LIST_ENTRIES,
      STATUS_LIST_ENTRIES + 8,
      1_000_000,
      STATUS_LIST_BYTES_MAX * 8
    ]
    for (const entries of sizes) {
      const bits = newBitstring(entries)
      bits.set(systemRandom(20_000).subarray(0, bits.length))
      const text = await encodeList(bits)
      expect(text).to.match(/^uH4sI[A-Za-z0-9_-]+$/)
      expect(Buffer.compare(await decodeList(text), bits)).to.equal(0)
    }
  })

  it('fits its own limits with a mebibyte of random bits', async () => {
    const bits = systemRandom(STATUS_LIST_BYTES_MAX)
    const text = await encodeList(bits)
    expect(text.length).to.be.lessThan(STATUS_LIST_CHARS_MAX)
    expect(Buffer.compare(await decodeList(text), bits)).to.equal(0)
    await refused(() => encodeList(new Uint8Array(STATUS_LIST_BYTES_MAX + 1)), 'limit-exceeded')
  })

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, text: () => string, code: 'credential-malformed' | 'limit-exceeded']> = [
    ['an empty text',                      () => '',                                               'credential-malformed'],
    ['a prefix alone',                     () => 'u',                                              'credential-malformed'],
    ['another multibase',                  () => `m${SPECIFICATION_LIST.slice(1)}`,                'credential-malformed'],
    ['no multibase',                       () => SPECIFICATION_LIST.slice(1),                      'credential-malformed'],
    ['what is not base64url',              () => `${SPECIFICATION_LIST.slice(0, 40)}*${SPECIFICATION_LIST.slice(41)}`, 'credential-malformed'],
    ['padding',                            () => `${SPECIFICATION_LIST}=`,                         'credential-malformed'],
    ['what is not GZIP',                   () => `u${Buffer.from('hello').toString('base64url')}`, 'credential-malformed'],
    ['GZIP cut short',                     () => encoded(newBitstring()).slice(0, -8),             'credential-malformed'],
    ['a wrong checksum',                   () => `${SPECIFICATION_LIST.slice(0, -10)}AAAAQAAA`,    'credential-malformed'],
    ['more behind the GZIP',               () => `${SPECIFICATION_LIST}AAAA`,                      'credential-malformed'],
    ['an entry too few',                   () => encoded(new Uint8Array(16_383)),                  'credential-malformed'],
    ['no entries',                         () => encoded(new Uint8Array(0)),                       'credential-malformed'],
    ['a byte too many',                    () => encoded(new Uint8Array(STATUS_LIST_BYTES_MAX + 1)), 'limit-exceeded'],
    ['a text too long',                    () => 'u'.repeat(STATUS_LIST_CHARS_MAX + 1),            'limit-exceeded']
  ]
  for (const [what, text, code] of FAULTS) {
    it(`refuses ${what}`, () => refused(() => decodeList(text()), code))
  }

  it('keeps to a smaller limit of the caller', async () => {
    await decodeList(SPECIFICATION_LIST, { entriesMax: STATUS_LIST_ENTRIES })
    await refused(
      () => decodeList(encoded(new Uint8Array(16_385)), { entriesMax: STATUS_LIST_ENTRIES }),
      'limit-exceeded'
    )
  })

  it('refuses whatever one changed character makes of a list, or reads the same', async () => {
    const bits = setStatus(newBitstring(), 1234, true)
    const text = await encodeList(bits)
    let same = 0
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
      const outcome = await decodeList(changed).catch(() => undefined)
      if (outcome === undefined) continue
      // Time, system and level in the header of GZIP say nothing of the content.
      expect(Buffer.compare(outcome, bits), `character ${at}`).to.equal(0)
      same++
    }
    expect(same).to.be.lessThan(14)
  })

  it('stops inflating a bomb at the limit', async () => {
    const packed = gzipSync(new Uint8Array(1 << 27), { level: 1 })
    const bomb = `u${packed.toString('base64url')}`
    expect(bomb.length).to.be.lessThan(STATUS_LIST_CHARS_MAX)
    const whole = await cpuOf(() => gunzipSync(packed))
    const ours = await cpuOf(() => refused(() => decodeList(bomb), 'limit-exceeded'))
    // A 128th of it is inflated; reading the text takes its time too.
    expect(ours, `of ${whole} µs`).to.be.lessThan(whole / 2)
  })
})

describe('Status list: credential', () => {
  it('is a VCDM 2.0 credential', async () => {
    const list = await listOf(newBitstring())
    const parsed = parseCredential(list)
    expect(parsed.ok && parsed.model).to.equal('2.0')
    expect(list['type']).to.deep.equal(['VerifiableCredential', 'BitstringStatusListCredential'])
  })

  it('answers for a set and for a clear entry', async () => {
    const list = await listOf(setStatus(newBitstring(), 94_567, true))
    const set = await readStatus(entry(94_567), list)
    expect(set).to.include({ ok: true, set: true, purpose: 'revocation', index: 94_567 })
    expect(await readStatus(entry(94_566), list)).to.include({ ok: true, set: false })
    expect(await readStatus(entry(STATUS_LIST_ENTRIES - 1), list)).to.include({
      ok: true,
      set: false
    })
  })

  it('says what its age and issuer are', async () => {
    const outcome = await openStatusList({
      ...(await listOf(newBitstring())),
      validUntil: '2026-11-24T10:00:00Z'
    })
    if (!outcome.ok) expect.fail(outcome.reason)
    expect(outcome.list).to.deep.include({
      id: URL_OF_LIST,
      issuer: 'did:web:uni.example',
      purposes: ['revocation'],
      ttlMs: 60_000,
      validFrom: new Date('2026-11-23T10:00:00Z'),
      validUntil: new Date('2026-11-24T10:00:00Z')
    })
  })

  it('takes an issuer that is an object, several purposes, and a list without id, times and ttl', async () => {
    const { credentialSubject, type } = await listOf(newBitstring(), {
      statusPurpose: ['revocation', 'suspension'],
      ttl: STATUS_TTL_DEFAULT_MS
    })
    const { ttl: _ttl, ...subject } = credentialSubject as JsonObject
    const outcome = await openStatusList({
      type,
      issuer: { id: 'did:key:z6Mk' },
      credentialSubject: subject
    })
    if (!outcome.ok) expect.fail(outcome.reason)
    expect(outcome.list).to.include({ issuer: 'did:key:z6Mk', ttlMs: STATUS_TTL_DEFAULT_MS })
    expect(outcome.list).to.not.have.any.keys('id', 'validFrom', 'validUntil')
    expect(statusIn(entry(7, { statusPurpose: 'suspension' }), outcome.list)).to.include({
      ok: true,
      purpose: 'suspension'
    })
  })

  it('reads StatusList2021, in base64 and in base64url', async () => {
    const bits = setStatus(newBitstring(), 5, true)
    bits.set(systemRandom(1024), 1024)
    const packed = gzipSync(bits)
    for (const encodedList of [packed.toString('base64'), packed.toString('base64url')]) {
      const list = {
        '@context': ['https://www.w3.org/2018/credentials/v1'],
        id: URL_OF_LIST,
        type: ['VerifiableCredential', 'StatusList2021Credential'],
        issuer: 'did:web:uni.example',
        issuanceDate: '2021-04-05T14:27:40Z',
        credentialSubject: { type: 'StatusList2021', statusPurpose: 'revocation', encodedList }
      }
      const outcome = await readStatus(entry(5, { type: 'StatusList2021Entry' }), list)
      expect(outcome).to.include({ ok: true, set: true })
    }
  })

  it('names the list of an entry, and none for an entry of another kind', () => {
    expect(statusListUrl(entry(1))).to.equal(URL_OF_LIST)
    expect(statusListUrl({ ...entry(1), type: 'RevocationList2020Status' })).to.equal(undefined)
    expect(statusListUrl(null)).to.equal(undefined)
  })

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, code: StatusFault, reason: RegExp, entry: unknown, list?: JsonObject]> = [
    ['an index beyond the list',           'index-out-of-range', /131072 of a list of 131072/, entry(STATUS_LIST_ENTRIES)],
    ['an index far beyond',                'index-out-of-range', /999999999999999/,   entry('999999999999999')],
    ['a negative index',                   'entry-malformed',    /statusListIndex/,   entry(-1)],
    ['an index with a leading zero',       'entry-malformed',    /statusListIndex/,   entry('007')],
    ['an index in hexadecimal',            'entry-malformed',    /statusListIndex/,   entry('0x10')],
    ['an index that is a number',          'entry-malformed',    /statusListIndex/,   { ...entry(1), statusListIndex: 1 }],
    ['an index of 16 digits',              'entry-malformed',    /statusListIndex/,   entry('1000000000000000')],
    ['an entry of another type',           'entry-malformed',    /type/,              entry(1, { type: 'Elsewhere' })],
    ['an entry without a purpose',         'entry-malformed',    /statusPurpose/,     { ...entry(1), statusPurpose: undefined }],
    ['an entry that is a text',            'entry-malformed',    /./,                 'revoked'],
    ['an entry of two bits',               'entry-unsupported',  /2 bits/,            entry(1, { statusSize: 2 })],
    ['a list of two bits an entry',        'entry-unsupported',  /2 bits/,            entry(1), { statusSize: 2 }],
    ['another purpose',                    'purpose-mismatch',   /"revocation".*"suspension"/, entry(1, { statusPurpose: 'suspension' })],
    ['another list',                       'list-mismatch',      /status-lists\/4/,   entry(1, { statusListCredential: 'https://uni.example/status-lists/4' })],
    ['a list of another type',             'list-malformed',     /RevocationList2020/, entry(1), { type: 'RevocationList2020' }],
    ['a list whose types disagree',        'list-malformed',     /StatusList2021/,    entry(1), { type: 'StatusList2021' }],
    ['a list that is not GZIP',            'list-malformed',     /GZIP/,              entry(1), { encodedList: 'uAAAA' }],
    ['a list that is not base64url',       'list-malformed',     /base64url/,         entry(1), { encodedList: 'u!!!!' }],
    ['a list without multibase',           'list-malformed',     /base64url/,         entry(1), { encodedList: SPECIFICATION_LIST.slice(1) }],
    ['a list without a list',              'list-malformed',     /encodedList/,       entry(1), { encodedList: 7 }],
    ['a list of too few entries',          'list-too-short',     /8 entries/,         entry(1), { encodedList: encoded(new Uint8Array(1)) }],
    ['a list that inflates without end',   'limit-exceeded',     /1048576/,           entry(1), { encodedList: encoded(new Uint8Array(1 << 24)) }],
    ['a negative ttl',                     'list-malformed',     /ttl/,               entry(1), { ttl: -1 }]
  ]
  for (const [what, code, reason, given, changes] of FAULTS) {
    it(`says why ${what} tells no status`, async () => {
      const outcome = await readStatus(given, await listOf(newBitstring(), changes))
      if (outcome.ok) expect.fail('it was read')
      expect(outcome.code).to.equal(code)
      expect(outcome.reason).to.match(reason)
    })
  }

  it('refuses a list that is nothing of the kind', async () => {
    const list = await listOf(newBitstring())
    const values = [
      null,
      'list',
      [],
      {},
      { ...list, type: 7 },
      { ...list, validFrom: 'yesterday' },
      { ...list, validUntil: '2026-02-30T00:00:00Z' }
    ]
    for (const value of values) {
      const outcome = await openStatusList(value)
      expect(outcome.ok || outcome.code).to.equal('list-malformed')
    }
  })
})
