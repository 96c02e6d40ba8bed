import { expect } from 'chai'
import fc from 'fast-check'
import { openHeader, sealStream } from '../../../protocols/sealed/age.ts'
import { native } from '../../../protocols/sealed/native.ts'
import { hybridIdentity } from '../../../protocols/sealed/recipients.ts'
import {
  CHUNK_BYTES,
  chunkCount,
  chunkNonce,
  chunkSpan,
  openChunk,
  openPayload,
  plainLength,
  sealChunk,
  SEALED_CHUNK_BYTES,
  sealedLength
} from '../../../protocols/sealed/stream.ts'
import { cut, joined, random, refuses } from './sealed-file.ts'

const key = new Uint8Array(32).fill(3)
const { aead } = native

function sealPayload(plaintext: Uint8Array): Buffer {
  const count = chunkCount(plaintext.length)
  const chunks = Array.from({ length: count }, (_, index) =>
    sealChunk(aead, key, {
      index,
      last: index === count - 1,
      plaintext: plaintext.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    })
  )
  return Buffer.concat(chunks)
}

/** The nonce of a chunk, hexadecimal. */
function hex(index: number, last: boolean): string {
  return Buffer.from(chunkNonce(index, last)).toString('hex')
}

const constant = (sizeBytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(sizeBytes)

describe('STREAM', () => {
  it('counts chunks in eleven bytes and marks the last in the twelfth', () => {
    expect(hex(0, false)).to.equal('000000000000000000000000')
    expect(hex(0, true)).to.equal('000000000000000000000001')
    expect(hex(255, false)).to.equal('00000000000000000000ff00')
    expect(hex(2 ** 32 - 1, true)).to.equal('00000000000000ffffffff01')
    expect(hex(2 ** 32, false)).to.equal('000000000000010000000000')
    expect(hex(2 ** 53 - 1, false)).to.equal('000000001fffffffffffff00')
  })

  it('knows the sealed length of a plaintext and back, and which lengths none has', async () => {
    const table: ReadonlyArray<readonly [plain: number, sealed: number]> = [
      [0, 16],
      [1, 17],
      [65_535, 65_551],
      [65_536, 65_552],
      [65_537, 65_569],
      [131_072, 131_104],
      [2 ** 45, 2 ** 45 + 2 ** 29 * 16]
    ]
    for (const [plain, sealed] of table) {
      expect(sealedLength(plain)).to.equal(sealed)
      expect(plainLength(sealed)).to.equal(plain)
    }
    for (const none of [0, 1, 15, 65_553, 65_567, 65_568, 131_105, -1])
      await refuses(() => plainLength(none), 'sealed-damaged')
  })

  it('opens what it seals, cut into pieces of any size', async () => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
      const plaintext = random(size)
      const sealed = sealPayload(plaintext)
      expect(sealed.length).to.equal(sealedLength(size))
      for (const piece of [997, 65_536, 65_552, 65_553, 1_000_000]) {
        const opened = await joined(openPayload(cut(sealed, piece), key, aead))
        expect(Buffer.compare(opened, plaintext), `${size} in ${piece}`).to.equal(0)
      }
    }
  })

  it('lets nothing out of a chunk before its tag was checked', async () => {
    const sealed = sealPayload(random(140_000))
    sealed[SEALED_CHUNK_BYTES + 5] = (sealed[SEALED_CHUNK_BYTES + 5] ?? 0) ^ 1
    let released = 0
    await refuses(async () => {
      for await (const chunk of openPayload([sealed], key, aead)) released += chunk.length
    }, 'sealed-damaged')
    expect(released).to.equal(CHUNK_BYTES)
  })

  it('refuses an empty last chunk unless the whole is empty', async () => {
    const full = sealChunk(aead, key, { index: 0, last: false, plaintext: random(CHUNK_BYTES) })
    const empty = sealChunk(aead, key, { index: 1, last: true, plaintext: new Uint8Array() })
    await refuses(
      () => joined(openPayload([Buffer.concat([full, empty])], key, aead)),
      'sealed-damaged'
    )
    await refuses(
      () => openChunk(aead, key, { index: 1, last: true, sealed: empty }),
      'sealed-damaged'
    )
  })

  it('finds any range by opening only the chunks that hold it', () => {
    const plaintext = random(200_000)
    const sealed = sealPayload(plaintext)
    fc.assert(
      fc.property(fc.nat(199_999), fc.nat(199_999), (one, other) => {
        const range = { start: Math.min(one, other), end: Math.max(one, other) }
        const span = chunkSpan(range, plaintext.length)
        expect(span.sealedEnd - span.sealedStart).to.be.at.most(
          range.end - range.start + 1 + 2 * SEALED_CHUNK_BYTES + 64
        )
        const opened: Uint8Array[] = []
        for (let index = span.firstChunk; index <= span.lastChunk; index++) {
          const start = index * SEALED_CHUNK_BYTES
          const end = Math.min(start + SEALED_CHUNK_BYTES, span.sealedEnd)
          const last = index === chunkCount(plaintext.length) - 1
          opened.push(openChunk(aead, key, { index, last, sealed: sealed.subarray(start, end) }))
        }
        const found = Buffer.concat(opened).subarray(span.skipBytes)
        const expected = plaintext.subarray(range.start, range.end + 1)
        expect(Buffer.compare(found.subarray(0, expected.length), expected)).to.equal(0)
      }),
      { numRuns: 60 }
    )
  })
})

describe('sealStream', () => {
  const identity = hybridIdentity(random(32))

  it('seals the same plaintext alike, however it is cut', async () => {
    const content = random(300_000)
    const fileKey = random(16)
    const payloads = new Set<string>()
    for (const piece of [1_000, 65_535, 65_536, 65_537, 131_072, 300_000]) {
      const source = sealStream(cut(content, piece), {
        recipients: [identity.recipient],
        random: constant,
        fileKey
      })
      const file = await joined(source)
      const { payloadOffset } = await openHeader(file, { fileKey })
      payloads.add(Buffer.from(file.subarray(payloadOffset)).toString('base64'))
    }
    expect(payloads.size).to.equal(1)
  })

  it('tells the key before the first byte and the lengths at the end', async () => {
    for (const size of [0, 1, 4_088, 4_089, 300_000]) {
      const events: string[] = []
      let fileKey: Uint8Array = new Uint8Array()
      let told: object = {}
      const source = sealStream(cut(random(size), 65_536), {
        recipients: [identity.recipient],
        random,
        onHeader: (header) => {
          events.push('header')
          fileKey = header.fileKey
        },
        onEnd: (lengths) => {
          events.push('end')
          told = lengths
        }
      })
      const pieces: Uint8Array[] = []
      for await (const piece of source) {
        events.push('bytes')
        pieces.push(piece)
      }
      const file = Buffer.concat(pieces)
      expect(events.at(0)).to.equal('header')
      expect(events.at(-1)).to.equal('end')
      const { payloadOffset } = await openHeader(file, { fileKey })
      expect(told).to.deep.equal({
        sizeBytes: size,
        paddedBytes: plainLength(file.length - payloadOffset),
        sealedBytes: file.length
      })
    }
  })

  it('takes no more of its source than it is asked for', async () => {
    let taken = 0
    const endless = function* (): Generator<Uint8Array> {
      for (;;) {
        taken += 65_536
        yield new Uint8Array(65_536)
      }
    }
    let given = 0
    for await (const piece of sealStream(endless(), { recipients: [identity.recipient], random })) {
      given += piece.length
      expect(taken - given).to.be.lessThan(2 * 1024 * 1024)
      if (given > 20 * 1024 * 1024) break
    }
  })

  it('keeps none of the memory its source hands it', async () => {
    const content = random(150_000)
    const reused = new Uint8Array(10_000)
    const source = function* (): Generator<Uint8Array> {
      for (const piece of cut(content, reused.length)) {
        reused.set(piece)
        yield reused.subarray(0, piece.length)
      }
    }
    const file = await joined(sealStream(source(), { recipients: [identity.recipient], random }))
    const { payloadKey, payloadOffset } = await openHeader(file, { identities: [identity] })
    const opened = await joined(openPayload([file.subarray(payloadOffset)], payloadKey, aead))
    expect(Buffer.compare(opened.subarray(0, content.length), content)).to.equal(0)
  })
})
