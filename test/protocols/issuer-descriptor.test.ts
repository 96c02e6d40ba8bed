/** Issuer descriptors and directories: signed, tampered, out of their time, too large. */
import { expect } from 'chai'
import { addJcsProof } from '../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { ProtocolError } from '../../protocols/errors.ts'
import {
  claimedDid,
  DESCRIPTOR_BYTES_MAX,
  DESCRIPTOR_LIFETIME_MS_MAX,
  DESCRIPTOR_TYPES_MAX,
  LOGO_BYTES_MAX,
  logo,
  readDescriptor,
  signDescriptor,
  type DescriptorType,
  type IssuerDescriptor
} from '../../protocols/issuer-descriptor.ts'
import {
  DIRECTORY_BYTES_MAX,
  DIRECTORY_DESCRIPTORS_MAX,
  readDirectory,
  signDirectory,
  type Directory
} from '../../protocols/issuer-directory.ts'
import { CLOCK_SKEW_MS } from '../../protocols/message.ts'
import { jsonBytes, nameIn } from '../../protocols/signed-document.ts'
import { bytesOf, DAY, Institution, later, NOW, sourcesOf, tampered } from './published.ts'

const university = new Institution('did:web:university.example', 1)
const impostor = new Institution('did:web:impostor.example', 2)
const publisher = new Institution('did:web:association.example', 3)
const everyone = [university, impostor, publisher]

const MARKSHEET: DescriptorType = {
  id: 'academic-marksheet',
  version: '1.0.0',
  names: { en: 'Marksheet', hi: 'अंक-पत्र' },
  category: 'education',
  form: {
    type: 'object',
    properties: { rollNumber: { type: 'string', title: 'Roll number' } },
    required: ['rollNumber']
  },
  expectedTime: 'P3D',
  formats: ['vcdm-2.0']
}
const DESCRIPTOR: IssuerDescriptor = {
  v: 1,
  did: university.did,
  names: { en: 'University of Example', hi: 'उदाहरण विश्वविद्यालय' },
  categories: ['education'],
  types: [MARKSHEET],
  endpoints: {
    didcomm: [
      { uri: 'libp2p-peerId:12D3KooW', accept: ['didcomm/v2'], multiAddrs: ['/ip4/1.2.3.4'] }
    ],
    gateway: 'https://university.example'
  },
  issuedAt: NOW.toISOString(),
  expiresAt: later(30 * DAY).toISOString()
}
const options = { signer: university.signer, created: NOW, crypto }

const signed = (change: Partial<IssuerDescriptor> = {}): JsonObject =>
  signDescriptor({ ...DESCRIPTOR, ...change }, options)

/** The fault of reading, or what was read. */
async function faultOf(value: unknown, now = NOW): Promise<string> {
  const reading = await readDescriptor(value, sourcesOf(everyone, now))
  return reading.ok ? 'none' : reading.fault
}

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ProtocolError) return error.code
    throw error
  }
  return 'none'
}

const until = (ms: number): string => codeOf(() => signed({ expiresAt: later(ms).toISOString() }))

const kinds = (count: number): DescriptorType[] =>
  Array.from({ length: count }, (_, index) => ({ ...MARKSHEET, id: `kind-${index}` }))

const padded = (count: number): IssuerDescriptor => ({
  ...DESCRIPTOR,
  types: [{ ...MARKSHEET, form: { type: 'object', $comment: 'x'.repeat(count) } }]
})

/** A descriptor that takes so many bytes with its proof, whose text is sometimes a character shorter. */
function sized(bytes: number): IssuerDescriptor {
  const room = bytes - jsonBytes(addJcsProof(padded(0), options, crypto))
  for (let count = room - 4; count <= room + 4; count++)
    if (jsonBytes(addJcsProof(padded(count), options, crypto)) === bytes) return padded(count)
  throw new Error(`no descriptor of ${bytes} bytes`)
}

const png = (sizeBytes: number): string => {
  const bytes = Buffer.alloc(sizeBytes, 7)
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return `data:image/png;base64,${bytes.toString('base64')}`
}
const webp = (sizeBytes: number): string => {
  const bytes = Buffer.alloc(sizeBytes, 7)
  bytes.set(Buffer.from('RIFF'), 0)
  bytes.set(Buffer.from('WEBP'), 8)
  return `data:image/webp;base64,${bytes.toString('base64')}`
}

describe('an issuer descriptor', () => {
  it('is read as it was signed, from bytes and from an object', async () => {
    const document = signed({ logo: png(100) })
    for (const input of [document, bytesOf(document)]) {
      const reading = await readDescriptor(input, sourcesOf(everyone))
      expect(reading).to.deep.equal({
        ok: true,
        value: { ...DESCRIPTOR, logo: png(100) },
        verificationMethod: 'did:web:university.example#key-1'
      })
    }
    expect(claimedDid(document)).to.equal(university.did)
  })

  it('is refused when anything in it was changed', async () => {
    let changes = 0
    for (const [path, changed] of tampered(signed())) {
      expect(await faultOf(changed), path).to.be.oneOf(['proof-wrong', 'malformed'])
      changes++
    }
    expect(changes).to.be.greaterThan(30)
  })

  it('is refused with a member more or less', async () => {
    expect(await faultOf({ ...signed(), extra: 1 })).to.equal('proof-wrong')
    const { logo: _, ...without } = signed({ logo: png(50) })
    expect(await faultOf(without)).to.equal('proof-wrong')
  })

  it('is refused when signed by anybody but its own DID, whose keys alone are asked for', async () => {
    const foreign = addJcsProof(DESCRIPTOR, { signer: impostor.signer, created: NOW }, crypto)
    const sources = sourcesOf(everyone)
    const reading = await readDescriptor(foreign, sources)
    expect(reading).to.deep.include({ ok: false, fault: 'proof-wrong' })
    expect(sources.asked).to.deep.equal([])
  })

  it('is refused without a proof, with two, for another purpose, or by a key nobody knows', async () => {
    const { proof, ...bare } = signed()
    expect(await faultOf(bare)).to.equal('proof-wrong')
    expect(await faultOf({ ...bare, proof: [] })).to.equal('proof-wrong')
    expect(await faultOf({ ...bare, proof: [proof, proof] })).to.equal('proof-wrong')
    const login = addJcsProof(DESCRIPTOR, { ...options, purpose: 'authentication' }, crypto)
    expect(await faultOf(login)).to.equal('proof-wrong')
    const reading = await readDescriptor(signed(), sourcesOf([impostor]))
    expect(reading).to.deep.include({ fault: 'proof-wrong' })
  })

  it('counts in its time only, give or take the clocks', async () => {
    const document = signed()
    const end = 30 * DAY + CLOCK_SKEW_MS
    expect(await faultOf(document, later(end))).to.equal('none')
    expect(await faultOf(document, later(end + 1))).to.equal('expired')
    expect(await faultOf(document, later(-CLOCK_SKEW_MS))).to.equal('none')
    expect(await faultOf(document, later(-CLOCK_SKEW_MS - 1))).to.equal('not-yet-valid')
  })

  it('lives at most 400 days', () => {
    expect(until(DESCRIPTOR_LIFETIME_MS_MAX)).to.equal('none')
    expect(until(DESCRIPTOR_LIFETIME_MS_MAX + 1)).to.equal('message-malformed')
    expect(until(0)).to.equal('message-malformed')
  })

  it('has at most 64 KiB, written and read', async () => {
    const largest = sized(DESCRIPTOR_BYTES_MAX)
    expect(codeOf(() => signDescriptor(largest, options))).to.equal('none')
    expect(await faultOf(addJcsProof(largest, options, crypto))).to.equal('none')
    const over = sized(DESCRIPTOR_BYTES_MAX + 1)
    expect(codeOf(() => signDescriptor(over, options))).to.equal('limit-exceeded')
    expect(await faultOf(addJcsProof(over, options, crypto))).to.equal('too-large')
    expect(await faultOf(bytesOf(addJcsProof(over, options, crypto)))).to.equal('too-large')
  })

  it('names at most 64 kinds, each once', () => {
    expect(codeOf(() => signed({ types: kinds(DESCRIPTOR_TYPES_MAX) }))).to.equal('none')
    expect(codeOf(() => signed({ types: kinds(DESCRIPTOR_TYPES_MAX + 1) }))).to.equal(
      'message-malformed'
    )
    expect(codeOf(() => signed({ types: [MARKSHEET, MARKSHEET] }))).to.equal('message-malformed')
  })

  it('is refused whatever else it is', async () => {
    const deep: unknown = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`)
    const hostile: readonly unknown[] = [
      null,
      [],
      'x',
      1,
      {},
      new Uint8Array(0),
      bytesOf([1]),
      new TextEncoder().encode('{"v":1,"v":1}'),
      Uint8Array.of(0xff, 0xfe),
      { ...signed(), endpoints: deep },
      JSON.parse('{"__proto__":{"v":1},"constructor":1}')
    ]
    for (const value of hostile)
      expect(await faultOf(value), JSON.stringify(value)).to.equal('malformed')
  })

  it('is not signed with a key of another DID, or with content that is not one', () => {
    const other = { ...options, signer: impostor.signer }
    expect(codeOf(() => signDescriptor(DESCRIPTOR, other))).to.equal('message-malformed')
    const wrong: readonly Partial<IssuerDescriptor>[] = [
      { names: {} },
      { names: { english: 'X' } },
      { names: { en: '' } },
      { categories: [] },
      { types: [{ ...MARKSHEET, expectedTime: 'P' }] },
      { types: [{ ...MARKSHEET, expectedTime: 'PT' }] },
      { types: [{ ...MARKSHEET, expectedTime: '3 days' }] },
      { types: [{ ...MARKSHEET, formats: [] }] },
      // oxlint-disable-next-line no-script-url -- that it is refused is the point
      { endpoints: { didcomm: [], gateway: 'javascript:alert(1)' } },
      { endpoints: { didcomm: [], gateway: 'https://user:secret@university.example' } },
      { endpoints: { didcomm: Array.from({ length: 9 }, () => ({ uri: 'a' })) } }
    ]
    for (const change of wrong)
      expect(
        codeOf(() => signed(change)),
        JSON.stringify(change)
      ).to.equal('message-malformed')
  })
})

describe('the logo of a descriptor', () => {
  it('is a PNG or WebP of at most 32 KiB', () => {
    for (const picture of [png, webp]) {
      expect(logo.safeParse(picture(LOGO_BYTES_MAX)).success).to.equal(true)
      expect(logo.safeParse(picture(LOGO_BYTES_MAX - 1)).success).to.equal(true)
      expect(logo.safeParse(picture(LOGO_BYTES_MAX + 1)).success).to.equal(false)
    }
  })

  it('is nothing that runs, leads elsewhere or is another picture than it says', () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')
    const wrong = [
      `data:image/svg+xml;base64,${svg.toString('base64')}`,
      `data:image/png;base64,${svg.toString('base64')}`,
      `data:image/webp;base64,${svg.toString('base64')}`,
      png(50).replace('image/png', 'text/html'),
      png(50).replace('png', 'webp'),
      webp(50).replace('webp', 'png'),
      `${png(50)}" onload="x`,
      'https://university.example/logo.png',
      'data:image/png;base64,',
      ''
    ]
    for (const url of wrong) expect(logo.safeParse(url).success, url).to.equal(false)
  })
})

describe('names by language', () => {
  it('are given in the wanted language, its main one, English, or what there is', () => {
    const names = { en: 'E', hi: 'H', 'pt-BR': 'B' }
    const picked = ['hi', 'hi-IN', 'pt-BR', 'pt', 'de', '__proto__'].map((tag) =>
      nameIn(names, tag)
    )
    expect(picked).to.deep.equal(['H', 'H', 'B', 'E', 'E', 'E'])
    expect(nameIn({ ta: 'T' }, 'en')).to.equal('T')
  })
})

const DIRECTORY: Directory = {
  v: 1,
  did: publisher.did,
  title: { en: 'Universities' },
  descriptors: [signed(), signDescriptor({ ...DESCRIPTOR, names: { en: 'Other' } }, options)],
  issuedAt: NOW.toISOString()
}
const publish = { ...options, signer: publisher.signer }

async function directoryFault(value: unknown, now = NOW): Promise<string> {
  const bytes = value instanceof Uint8Array ? value : bytesOf(value)
  const reading = await readDirectory(bytes, sourcesOf(everyone, now))
  return reading.ok ? 'none' : reading.fault
}

describe('a directory', () => {
  it('is read as it was signed; its descriptors are read one by one', async () => {
    const document = signDirectory(DIRECTORY, publish)
    const sources = sourcesOf(everyone)
    const reading = await readDirectory(bytesOf(document), sources)
    if (!reading.ok) throw new Error(reading.reason)
    expect(reading.value).to.deep.equal(DIRECTORY)
    // Nobody is asked for the keys of listed issuers until somebody picks one.
    expect(sources.asked).to.deep.equal(['did:web:association.example#key-1'])
    expect(await faultOf(reading.value.descriptors[1])).to.equal('none')
  })

  it('is refused when anything in it was changed, added, dropped or moved', async () => {
    const document = signDirectory(DIRECTORY, publish)
    let changes = 0
    for (const [path, changed] of tampered(document)) {
      expect(await directoryFault(changed), path).to.be.oneOf(['proof-wrong', 'malformed'])
      changes++
    }
    expect(changes).to.be.greaterThan(80)
    const [one, two] = DIRECTORY.descriptors
    for (const descriptors of [[], [one], [two, one], [one, two, one], 'x', undefined])
      expect(await directoryFault({ ...document, descriptors })).to.equal('malformed')
  })

  it('may list a descriptor that does not hold: listing it is not vouching for it', async () => {
    const [broken] = tampered(signed())
    if (broken === undefined) throw new Error('nothing was changed')
    const forged = { ...signed(), names: { en: 'Forged' } }
    const document = signDirectory({ ...DIRECTORY, descriptors: [forged] }, publish)
    expect(await directoryFault(document)).to.equal('none')
    expect(await faultOf(forged)).to.equal('proof-wrong')
  })

  it('is refused when signed by anybody but its publisher', async () => {
    const { descriptors, ...head } = signDirectory(DIRECTORY, publish)
    const { proof: _, ...bare } = head
    const foreign = addJcsProof(bare, { signer: impostor.signer, created: NOW }, crypto)
    expect(await directoryFault({ ...foreign, descriptors: descriptors ?? [] })).to.equal(
      'proof-wrong'
    )
  })

  it('counts in its time only', async () => {
    const expiresAt = later(DAY).toISOString()
    const document = signDirectory({ ...DIRECTORY, expiresAt }, publish)
    expect(await directoryFault(document, later(DAY))).to.equal('none')
    expect(await directoryFault(document, later(DAY + CLOCK_SKEW_MS + 1))).to.equal('expired')
    expect(await directoryFault(document, later(-DAY))).to.equal('not-yet-valid')
  })

  it('has at most 1 MiB and 500 descriptors', async () => {
    const small = { did: university.did }
    const many = (count: number): Directory => ({
      ...DIRECTORY,
      descriptors: Array.from({ length: count }, () => small)
    })
    const most = signDirectory(many(DIRECTORY_DESCRIPTORS_MAX), publish)
    expect(await directoryFault(most)).to.equal('none')
    expect(codeOf(() => signDirectory(many(DIRECTORY_DESCRIPTORS_MAX + 1), publish))).to.equal(
      'message-malformed'
    )
    const large = { did: university.did, text: 'x'.repeat(DESCRIPTOR_BYTES_MAX - 100) }
    const heavy = (count: number): Directory => ({
      ...DIRECTORY,
      descriptors: Array.from({ length: count }, () => large)
    })
    expect(await directoryFault(signDirectory(heavy(15), publish))).to.equal('none')
    expect(codeOf(() => signDirectory(heavy(17), publish))).to.equal('limit-exceeded')
    expect(await directoryFault(new Uint8Array(DIRECTORY_BYTES_MAX + 1))).to.equal('too-large')
    const tooLarge = { did: university.did, text: 'x'.repeat(DESCRIPTOR_BYTES_MAX) }
    const one = signDirectory({ ...DIRECTORY, descriptors: [tooLarge] }, publish)
    expect(await directoryFault(one)).to.equal('malformed')
  })

  it('is refused whatever else it is', async () => {
    for (const text of ['', '[]', 'null', '{"descriptors":[]}', '{"v":1,"v":1}', '{"__proto__":1}'])
      expect(await directoryFault(new TextEncoder().encode(text)), text).to.equal('malformed')
  })
})
