/**
 * A sealed document of three chunks and a slot, damaged in every way a disk or a hand can: each is refused
 * as damage. In the middle of a full chunk every 61st byte is flipped, and with SLOW=1 every one; its edges,
 * the header, the nonce and the last chunk are flipped byte by byte always.
 */
import { expect } from 'chai'
import { decrypt, encrypt, openHeader } from '../../../protocols/sealed/age.ts'
import { native } from '../../../protocols/sealed/native.ts'
import { hybridIdentity } from '../../../protocols/sealed/recipients.ts'
import {
  chunkCount,
  openChunk,
  plainLength,
  SEALED_CHUNK_BYTES,
  TAG_BYTES
} from '../../../protocols/sealed/stream.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { open, random, refuses, seal } from './sealed-file.ts'

/** Two full chunks and one of 12 KiB, once padded. */
const CONTENT_BYTES = 140_000
const EDGE_BYTES = 64
const STEP = process.env['SLOW'] === '1' ? 1 : 61

describe('a damaged sealed document', function () {
  this.timeout(120_000)
  const fileKey = random(16)
  const identity = hybridIdentity(random(32))
  const content = random(CONTENT_BYTES)
  let file: Uint8Array<ArrayBuffer>
  let payloadKey: Uint8Array
  let payloadOffset: number

  before(async () => {
    file = await seal(content, identity.recipient, fileKey)
    ;({ payloadKey, payloadOffset } = await openHeader(file, { fileKey }))
    expect(chunkCount(plainLength(file.length - payloadOffset))).to.equal(3)
    expect(Buffer.compare(await open(file, { identities: [identity] }), content)).to.equal(0)
  })

  /** Without chai, whose messages would cost more than the decryption. */
  const refusesChunk = (chunk: Parameters<typeof openChunk>[2], at: number): void => {
    try {
      openChunk(native.aead, payloadKey, chunk)
    } catch (error) {
      if (error instanceof ProtocolError && error.code === 'sealed-damaged') return
      throw error
    }
    throw new Error(`byte ${at}: nothing was refused`)
  }
  const start = (chunk: number): number => payloadOffset + chunk * SEALED_CHUNK_BYTES
  const chunk = (of: Uint8Array, index: number): Uint8Array =>
    of.subarray(start(index), start(index + 1))
  const flipped = (at: number): Uint8Array => {
    const copy = new Uint8Array(file)
    copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
    return copy
  }

  it('is refused with any byte of header and nonce flipped, by the identity', async () => {
    for (let at = 0; at < payloadOffset; at++)
      await refuses(
        () => open(flipped(at), { identities: [identity] }),
        'sealed-malformed',
        'sealed-damaged',
        'sealed-no-match'
      )
  })

  it('is refused with any byte of header and nonce flipped, by the file key', async () => {
    for (let at = 0; at < payloadOffset; at++)
      await refuses(() => open(flipped(at), { fileKey }), 'sealed-malformed', 'sealed-damaged')
  })

  it('is refused with any byte of a chunk flipped', async () => {
    const sealed = new Uint8Array(file.subarray(payloadOffset))
    for (let index = 0; index < 3; index++) {
      const last = index === 2
      const bytes = sealed.subarray(index * SEALED_CHUNK_BYTES, (index + 1) * SEALED_CHUNK_BYTES)
      openChunk(native.aead, payloadKey, { index, last, sealed: bytes })
      for (let at = 0; at < bytes.length; at++) {
        const edge = at < EDGE_BYTES || at >= bytes.length - EDGE_BYTES
        if (!edge && at % (last ? 1 : STEP) > 0) continue
        const bit = 1 << (at % 8)
        bytes[at] = (bytes[at] ?? 0) ^ bit
        refusesChunk({ index, last, sealed: bytes }, at)
        bytes[at] = (bytes[at] ?? 0) ^ bit
      }
    }
  })

  it('is refused by the whole reader too, wherever in it the byte lies', async () => {
    for (let at = payloadOffset; at < file.length; at += 997)
      await refuses(() => open(flipped(at), { fileKey }), 'sealed-damaged')
  })

  it('is refused cut short at any byte', async () => {
    for (let length = 0; length < payloadOffset; length++)
      await refuses(() => open(file.subarray(0, length), { fileKey }), 'sealed-malformed')
    // What was cut off within chunk `index` leaves a shorter one, which then stands last.
    for (let index = 0; index < 3; index++)
      for (let length = 0; length < SEALED_CHUNK_BYTES; length++) {
        const end = start(index) + length
        if (end >= file.length) break
        const edge = length < EDGE_BYTES || length >= SEALED_CHUNK_BYTES - EDGE_BYTES
        if (index < 2 && !edge && length % STEP > 0) continue
        const sealed = file.subarray(start(index), end)
        refusesChunk({ index, last: true, sealed }, end)
      }
  })

  it('is refused by the whole reader too, wherever it was cut', async () => {
    const edges = [0, 1, TAG_BYTES, SEALED_CHUNK_BYTES - 1].flatMap((offset) =>
      [0, 1, 2].map((index) => start(index) + offset)
    )
    for (const end of [...edges, file.length - 1])
      if (end < file.length)
        await refuses(() => open(file.subarray(0, end), { fileKey }), 'sealed-damaged')
  })

  it('is refused with bytes behind its end', async () => {
    for (const more of [1, TAG_BYTES, TAG_BYTES + 1, SEALED_CHUNK_BYTES]) {
      const longer = Buffer.concat([file, random(more)])
      await refuses(() => open(longer, { fileKey }), 'sealed-damaged')
    }
  })

  it('is refused with chunks left out, doubled, swapped, or moved in from another file', async () => {
    const other = await seal(random(CONTENT_BYTES), identity.recipient, fileKey)
    const head = file.subarray(0, payloadOffset)
    const [a, b, c] = [chunk(file, 0), chunk(file, 1), chunk(file, 2)]
    // The other file has the same file key, as no two ever have: its nonce alone must keep them apart.
    const arrangements = [
      [b, c],
      [a, c],
      [a, b],
      [c],
      [],
      [b, a, c],
      [a, b, b, c],
      [a, a, c],
      [a, b, c, c],
      [a, b, c, a, b, c],
      [chunk(other, 0), b, c],
      [a, chunk(other, 1), c],
      [a, b, chunk(other, 2)]
    ]
    for (const chunks of arrangements)
      await refuses(() => open(Buffer.concat([head, ...chunks]), { fileKey }), 'sealed-damaged')
    expect((await open(Buffer.concat([head, a, b, c]), { fileKey })).length).to.equal(CONTENT_BYTES)
  })

  it('is refused by another file key, and by an identity it is not sealed to', async () => {
    await refuses(() => open(file, { fileKey: random(16) }), 'sealed-damaged')
    const stranger = hybridIdentity(random(32))
    await refuses(() => open(file, { identities: [stranger] }), 'sealed-no-match')
    await refuses(() => open(file, { identities: [] }), 'sealed-no-match')
  })
})

describe('a damaged small file', () => {
  it('is refused with any byte flipped, and cut short anywhere', async () => {
    const identity = hybridIdentity(random(32))
    const file = await encrypt(random(64), [identity.recipient], random)
    for (let at = 0; at < file.length; at++) {
      const copy = new Uint8Array(file)
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
      await refuses(
        () => decrypt(copy, [identity]),
        'sealed-malformed',
        'sealed-damaged',
        'sealed-no-match'
      )
      await refuses(
        () => decrypt(file.subarray(0, at), [identity]),
        'sealed-malformed',
        'sealed-damaged'
      )
    }
  }).timeout(30_000)
})
