/**
 * The public age test vectors (C2SP CCTV, npm cctv-age: 143 files) through our reader, one test each.
 * Every one of them is within what eLocker reads: X25519, hybrid, scrypt, armor.
 *
 * Where a payload fails, a vector names the hash of the plaintext a reader of age's own way lets out
 * first: that reader opens a chunk as the last one when it does not open otherwise, and looks for the
 * end afterwards. Ours decides by where the file ends, and so lets out one chunk less of a file whose
 * end is wrong. The test opens the vector both ways and holds ours to a prefix of the other.
 */
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { expect } from 'chai'
import * as vectors from 'cctv-age'
import { openHeader } from '../../../protocols/sealed/age.ts'
import { decodeArmor } from '../../../protocols/sealed/armor.ts'
import { native } from '../../../protocols/sealed/native.ts'
import { parseIdentity, scryptIdentity } from '../../../protocols/sealed/recipients.ts'
import { openChunk, openPayload, SEALED_CHUNK_BYTES } from '../../../protocols/sealed/stream.ts'
import { ProtocolError } from '../../../protocols/errors.ts'

/** cctv-age is CommonJS: its own names stand beside what Node adds. */
const NOT_VECTORS = new Set(['default', 'module.exports'])

/** What a vector expects, as the code our reader refuses with; `undefined` is success. */
const CODES = new Map<string, string | undefined>([
  ['success', undefined],
  ['no match', 'sealed-no-match'],
  ['HMAC failure', 'sealed-damaged'],
  ['header failure', 'sealed-malformed'],
  ['payload failure', 'sealed-damaged'],
  ['armor failure', 'sealed-malformed']
])
/** How far the reader must come; the header for those not named. */
const STAGES = new Map<string, string>([
  ['success', 'payload'],
  ['payload failure', 'payload'],
  ['armor failure', 'armor']
])

interface Vector {
  readonly expect: string
  readonly payload?: string
  readonly identities: readonly string[]
  readonly passphrases: readonly string[]
  readonly armored: boolean
  readonly file: Uint8Array
}

function parseVector(bytes: Uint8Array): Vector {
  const raw = Buffer.from(bytes)
  const end = raw.indexOf('\n\n')
  const facts = raw
    .subarray(0, end)
    .toString()
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const)
  const all = (key: string): string[] => facts.filter(([k]) => k === key).map(([, value]) => value)
  const body = raw.subarray(end + 2)
  const [payload] = all('payload')
  return {
    expect: all('expect')[0] ?? '',
    ...(payload === undefined ? {} : { payload }),
    identities: all('identity'),
    passphrases: all('passphrase'),
    armored: all('armored')[0] === 'yes',
    file: all('compressed')[0] === 'zlib' ? inflateSync(body) : body
  }
}

interface Opened {
  readonly code?: string
  readonly stage: 'armor' | 'header' | 'payload'
  /** Plaintext our reader let out. */
  readonly released: Buffer
  /** Plaintext age's own reader lets out. */
  readonly lenient: Buffer
}

/** Opens the vector as a stream of 7,000-byte pieces. */
async function open(vector: Vector): Promise<Opened> {
  const released: Uint8Array[] = []
  let stage: Opened['stage'] = 'armor'
  let lenient = Buffer.alloc(0)
  try {
    const file = vector.armored ? decodeArmor(vector.file) : vector.file
    stage = 'header'
    const identities = [
      ...vector.identities.map(parseIdentity),
      ...vector.passphrases.map((passphrase) => scryptIdentity(passphrase))
    ]
    const header = await openHeader(file, { identities })
    stage = 'payload'
    lenient = openLeniently(file.subarray(header.payloadOffset), header.payloadKey)
    const pieces: Uint8Array[] = []
    for (let start = header.payloadOffset; start < file.length; start += 7_000)
      pieces.push(file.subarray(start, start + 7_000))
    for await (const chunk of openPayload(pieces, header.payloadKey, native.aead))
      released.push(chunk)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { code: error.code, stage, released: Buffer.concat(released), lenient }
  }
  return { stage, released: Buffer.concat(released), lenient }
}

function openLeniently(sealed: Uint8Array, key: Uint8Array): Buffer<ArrayBuffer> {
  const plaintext: Uint8Array[] = []
  let ended = false
  for (let index = 0; !ended && index * SEALED_CHUNK_BYTES < sealed.length; index++) {
    const chunk = sealed.subarray(index * SEALED_CHUNK_BYTES, (index + 1) * SEALED_CHUNK_BYTES)
    const middle = tryChunk(key, index, false, chunk)
    const opened = middle ?? tryChunk(key, index, true, chunk)
    if (opened !== undefined) plaintext.push(opened)
    ended = middle === undefined
  }
  return Buffer.concat(plaintext)
}

function tryChunk(
  key: Uint8Array,
  index: number,
  last: boolean,
  sealed: Uint8Array
): Uint8Array | undefined {
  try {
    return openChunk(native.aead, key, { index, last, sealed })
  } catch {
    return undefined
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const files = new Map<string, unknown>(Object.entries(vectors))

describe('age test vectors', () => {
  const names = [...files.keys()].filter((name) => !NOT_VECTORS.has(name))

  it('are all here', () => expect(names).to.have.lengthOf(143))

  for (const name of names) {
    const bytes = files.get(name)
    if (!(bytes instanceof Uint8Array)) throw new Error(`${name} is no vector`)
    const vector = parseVector(bytes)
    it(`${name}: ${vector.expect}`, async () => {
      expect([...CODES.keys()]).to.include(vector.expect)
      const { code, stage, released, lenient } = await open(vector)
      expect(code).to.equal(CODES.get(vector.expect))
      expect(stage).to.equal(STAGES.get(vector.expect) ?? 'header')
      if (stage !== 'payload') return
      expect(sha256(lenient)).to.equal(vector.payload)
      expect(released.equals(lenient.subarray(0, released.length)), 'a prefix').to.equal(true)
      if (code === undefined) expect(released.length).to.equal(lenient.length)
    }).timeout(30_000)
  }
})
