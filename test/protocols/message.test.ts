import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { ProtocolError } from '../../protocols/errors.ts'
import {
  ATTACHMENTS_MAX,
  JSON_DEPTH_MAX,
  JSON_KEYS_MAX,
  messageOf,
  newMessageId,
  parseJsonBounded,
  parseMessage,
  parseMessageType,
  timeFault
} from '../../protocols/message.ts'
import { refused } from '../refusal.ts'

const bytesMax = 4 * 1024 * 1024
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const parse = (text: string): unknown => parseJsonBounded(utf8(text), { bytesMax })

const TYPE = 'https://didcomm.org/basicmessage/2.0/message'
const minimal = { id: '1', type: TYPE, body: {} }

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const objects = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
const flat = (count: number): string =>
  `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join(',')}}`
const spread = (count: number): string =>
  `[${Array.from({ length: count }, () => '{"k":0}').join(',')}]`

describe('bounded JSON', () => {
  it('refuses a depth of 1,000,000 without walking it', () =>
    refused(() => parse('['.repeat(1_000_000)), 'limit-exceeded'))

  it('takes a depth of 32 and not of 33, of arrays and objects', async () => {
    for (const text of [nested, objects]) {
      parse(text(JSON_DEPTH_MAX - 1))
      parse(text(JSON_DEPTH_MAX))
      await refused(() => parse(text(JSON_DEPTH_MAX + 1)), 'limit-exceeded')
    }
  })

  it('takes 10,000 keys and not 10,001, wherever they are', async () => {
    for (const text of [flat, spread]) {
      parse(text(JSON_KEYS_MAX))
      await refused(() => parse(text(JSON_KEYS_MAX + 1)), 'limit-exceeded')
    }
  })

  it('takes exactly as many bytes as allowed', async () => {
    const text = utf8('"12345678"')
    expect(parseJsonBounded(text, { bytesMax: 10 })).to.equal('12345678')
    await refused(() => parseJsonBounded(text, { bytesMax: 9 }), 'limit-exceeded')
  })

  for (const text of [
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1,"a":2}',
    '{"é":1,"\\u00e9":2}',
    '{"x":{"b":[1],"c":0,"b":2}}',
    '[{"a":1}, {"a" : 1 , "a"\n: 2}]',
    '{"":1,"":2}'
  ]) {
    it(`refuses the same key twice: ${text}`, () => refused(() => parse(text), 'message-malformed'))
  }

  it('takes the same key in different objects', () => {
    expect(parse('{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}')).to.deep.equal({
      a: { a: [{ a: 1 }, { a: 2 }] },
      b: 'a'
    })
  })

  it('is not misled by brackets, colons and quotes in strings', () => {
    const value = { 'a":{': '[[[', 'b\\': ['"', '\\', '\\"', '{"a":1,"a":2}'], c: ':' }
    expect(parse(JSON.stringify(value))).to.deep.equal(value)
  })

  it('keeps a key __proto__ as a name like others', () => {
    const value = parse('{"__proto__":{"admin":true},"constructor":1}')
    expect(Object.keys(value as object)).to.deep.equal(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(value)).to.equal(Object.prototype)
    expect(({} as Record<string, unknown>)['admin']).to.equal(undefined)
  })

  for (const bytes of [
    Uint8Array.of(0x22, 0xff, 0x22),
    Uint8Array.of(0xef, 0xbb, 0xbf, 0x31),
    Uint8Array.of(0x22, 0xc0, 0xaf, 0x22),
    Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
    utf8(''),
    utf8('{"a"'),
    utf8('{"a":1}}'),
    utf8('{"\\q":1}'),
    utf8('"\\'),
    utf8('NaN'),
    utf8("{'a':1}"),
    utf8('[1,]'),
    utf8('1 // one')
  ]) {
    it(`refuses ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`, () =>
      refused(() => parseJsonBounded(bytes, { bytesMax }), 'message-malformed'))
  }

  it('agrees with JSON.parse on every JSON text', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
        const value: unknown = JSON.parse(text)
        const written = JSON.stringify(value, undefined, indent)
        expect(parse(written)).to.deep.equal(value)
      })
    )
  })

  it('throws nothing but ProtocolErrors, and gives nothing that JSON.parse would not', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ':',
      ',',
      'a',
      '1',
      ' ',
      '"a"',
      '\\u0061',
      'é'
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        const text = parts.join('')
        let value: unknown
        try {
          value = parse(text)
        } catch (error) {
          expect(error).to.be.instanceOf(ProtocolError)
          return
        }
        expect(value).to.deep.equal(JSON.parse(text))
      }),
      { numRuns: 2000 }
    )
  })
})

describe('a plaintext message', () => {
  it('keeps the headers of the standard and drops others', () => {
    const message = parseMessage({
      ...minimal,
      thid: 't',
      pthid: 'p',
      lang: 'en',
      extra: 1,
      ack: ['a']
    })
    expect(message).to.deep.equal({ ...minimal, thid: 't', pthid: 'p', lang: 'en', ack: ['a'] })
  })

  it('hands the body on untouched, odd names included', () => {
    const { body } = parseMessage(
      parse(`{"id":"1","type":"${TYPE}","body":{"__proto__":{"x":1},"toString":2}}`)
    )
    expect(Object.keys(body)).to.deep.equal(['__proto__', 'toString'])
    expect(Object.getPrototypeOf(body)).to.equal(Object.prototype)
  })

  it('has an empty body when none was sent', () => {
    const { body: _, ...bodiless } = minimal
    expect(parseMessage(bodiless).body).to.deep.equal({})
  })

  // oxfmt-ignore
  const FAULTS: readonly unknown[] = [
    {}, [], null, 'text', { type: TYPE, body: {} }, { id: '1', body: {} },
    { ...minimal, id: 1 }, { ...minimal, id: '' }, { ...minimal, id: 'a b' }, { ...minimal, id: 'x'.repeat(129) },
    { ...minimal, id: 'é' }, { ...minimal, type: 'ping' }, { ...minimal, type: 'https://didcomm.org/x' },
    { ...minimal, typ: 'JWM' }, { ...minimal, typ: 'application/didcomm-encrypted+json' },
    { ...minimal, body: [] }, { ...minimal, body: 'x' }, { ...minimal, body: null },
    { ...minimal, from: 'alice' }, { ...minimal, from: 'did:example:a#key-1' }, { ...minimal, from: 'DID:example:a' },
    { ...minimal, to: 'did:example:a' }, { ...minimal, to: [] }, { ...minimal, to: ['did:example:a#k'] },
    { ...minimal, created_time: '1' }, { ...minimal, created_time: 1.5 }, { ...minimal, created_time: -1 },
    { ...minimal, expires_time: 253_402_300_800 }, { ...minimal, expires_time: Infinity },
    { ...minimal, please_ack: '1' }, { ...minimal, ack: [1] }, { ...minimal, thid: {} },
    { ...minimal, attachments: {} }, { ...minimal, attachments: [{}] }, { ...minimal, attachments: [{ data: {} }] },
    { ...minimal, attachments: [{ data: { links: ['x'] } }] }, { ...minimal, attachments: [{ data: { links: [], hash: 'z' } }] },
    { ...minimal, attachments: Array.from({ length: ATTACHMENTS_MAX + 1 }, () => ({ data: { json: 1 } })) }
  ]
  for (const value of FAULTS) {
    it(`is not ${JSON.stringify(value).slice(0, 110)}`, () =>
      refused(() => parseMessage(value), 'message-malformed'))
  }

  it('may have 32 attachments, inline or linked with a hash', () => {
    const attachments = [
      { data: { links: ['ipfs://x'], hash: 'z1' } },
      { id: 'a', media_type: 'text/plain', data: { base64: 'eA' } },
      ...Array.from({ length: ATTACHMENTS_MAX - 2 }, () => ({ data: { json: null } }))
    ]
    expect(parseMessage({ ...minimal, attachments }).attachments).to.deep.equal(attachments)
  })

  it('is built with whole seconds, so that it lives at least as long as asked', () => {
    const message = messageOf({
      id: '1',
      type: TYPE,
      createdAt: new Date(1999),
      expiresAt: new Date(2001),
      pleaseAck: ['']
    })
    expect(message).to.deep.equal({
      ...minimal,
      typ: 'application/didcomm-plain+json',
      created_time: 1,
      expires_time: 3,
      please_ack: ['']
    })
  })

  it('is not built from a type that is none', () =>
    refused(() => messageOf({ id: '1', type: 'ping' }), 'message-malformed'))

  it('gets an id that is a lower case UUID of version 4', () => {
    const ids = Array.from({ length: 50 }, () => newMessageId(randomBytes))
    for (const id of ids) {
      expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }
    expect(new Set(ids).size).to.equal(50)
  })
})

describe('a message type', () => {
  it('names protocol, version and message', () => {
    expect(parseMessageType('https://didcomm.org/trust-ping/2.0/ping-response')).to.deep.equal({
      piuri: 'https://didcomm.org/trust-ping/2.0',
      protocol: 'trust-ping',
      version: '2.0',
      major: 2,
      minor: 0,
      name: 'ping-response'
    })
  })

  it('may have a long base', () => {
    const { piuri } = parseMessageType('https://elocker.example/protocols/share/1.0/grant')
    expect(piuri).to.equal('https://elocker.example/protocols/share/1.0')
  })

  for (const type of [
    '',
    'ping',
    'https://didcomm.org/trust-ping/2.0/',
    'https://didcomm.org/trust-ping/2/ping',
    'https://didcomm.org/trust-ping/2.x/ping',
    '/trust-ping/2.0/ping',
    'https://didcomm.org/trust ping/2.0/ping',
    `https://didcomm.org/${'x'.repeat(600)}/2.0/ping`
  ]) {
    it(`is not ${type.slice(0, 60) || 'nothing'}`, () =>
      refused(() => parseMessageType(type), 'message-malformed'))
  }
})

describe('the times of a message', () => {
  const now = new Date('2026-11-23T12:00:00Z')
  const seconds = now.getTime() / 1000
  const day = 86_400

  // oxfmt-ignore
  const TIMES: ReadonlyArray<readonly [what: string, times: { created_time?: number; expires_time?: number }, fault: string | undefined]> = [
    ['none',                        {},                                                          undefined],
    ['expiry in a day',             { expires_time: seconds + day },                             undefined],
    ['expiry now',                  { expires_time: seconds },                                   undefined],
    ['expiry 299 s ago',            { expires_time: seconds - 299 },                             undefined],
    ['expiry 300 s ago',            { expires_time: seconds - 300 },                             undefined],
    ['expiry 301 s ago',            { expires_time: seconds - 301 },                             'expired'],
    ['expiry a day ago',            { expires_time: seconds - day },                             'expired'],
    ['creation a day ago',          { created_time: seconds - day },                             undefined],
    ['creation in 300 s',           { created_time: seconds + 300 },                             undefined],
    ['creation in 301 s',           { created_time: seconds + 301 },                             'created-in-future'],
    ['creation in a day',           { created_time: seconds + day },                             'created-in-future'],
    ['expiry before creation',      { created_time: seconds, expires_time: seconds - 1 },        'expires-before-created'],
    ['expiry at creation',          { created_time: seconds, expires_time: seconds },            undefined],
    ['expiry at the epoch',         { expires_time: 0 },                                         'expired']
  ]
  for (const [what, times, fault] of TIMES) {
    it(`with ${what} are ${fault ?? 'acceptable'}`, () => {
      expect(timeFault(times, now)).to.equal(fault)
    })
  }

  it('work in 2038 and 2100', () => {
    for (const year of ['2038-01-19T03:14:08Z', '2100-03-01T00:00:00Z']) {
      const at = new Date(year)
      const expires_time = at.getTime() / 1000 - 301
      expect(timeFault({ expires_time }, at)).to.equal('expired')
      expect(timeFault({ expires_time: expires_time + 1 }, at)).to.equal(undefined)
    }
  })
})
