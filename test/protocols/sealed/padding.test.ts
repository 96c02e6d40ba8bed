import { expect } from 'chai'
import fc from 'fast-check'
import {
  checkPadding,
  CONTENT_BYTES_MAX,
  PADDED_BYTES_MIN,
  paddedLength,
  paddingAfter,
  parseTrailer,
  removePadding,
  TRAILER_BYTES
} from '../../../protocols/sealed/padding.ts'
import { random, refuses } from './sealed-file.ts'

const length = fc.oneof(
  fc.integer({ min: 0, max: 20_000 }),
  fc.maxSafeInteger().map((value) => Math.abs(value) % (CONTENT_BYTES_MAX + 1))
)

function padded(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([content, ...paddingAfter(content.length)]))
}

describe('padding', () => {
  it('has the lengths PADMÉ gives, and never less than 4 KiB', () => {
    // Content, then content and trailer rounded up: L = 2^E + …, the lower E − ⌊log2 E⌋ − 1 bits zero.
    const table: ReadonlyArray<readonly [content: number, total: number]> = [
      [0, 4_096],
      [1, 4_096],
      [4_088, 4_096],
      [4_089, 4_352],
      [8_184, 8_192],
      [8_185, 8_704],
      [1_048_568, 1_048_576],
      [1_048_569, 1_081_344],
      [2 ** 32 - 8, 2 ** 32],
      [2 ** 32 - 7, 2 ** 32 + 2 ** 26],
      [2 ** 48 - 8, 2 ** 48],
      [2 ** 48 - 7, 2 ** 48 + 2 ** 42],
      [2 ** 52, 2 ** 52 + 2 ** 46]
    ]
    for (const [content, total] of table)
      expect(paddedLength(content), `${content}`).to.equal(total)
  })

  it('refuses lengths it cannot be exact for', async () => {
    for (const bytes of [-1, 0.5, Number.NaN, CONTENT_BYTES_MAX + 1, Number.POSITIVE_INFINITY])
      await refuses(() => paddedLength(bytes), 'limit-exceeded')
  })

  it('holds content and trailer, grows with the content, and costs at most 12 %', () => {
    fc.assert(
      fc.property(length, length, (one, other) => {
        const total = paddedLength(one)
        expect(total).to.be.at.least(one + TRAILER_BYTES)
        if (total > PADDED_BYTES_MIN) expect(total).to.be.at.most((one + TRAILER_BYTES) * 1.12)
        if (one <= other) expect(total).to.be.at.most(paddedLength(other))
        // Lengths between 2^52 and what they are padded to are no contents.
        if (total - TRAILER_BYTES <= CONTENT_BYTES_MAX)
          expect(paddedLength(total - TRAILER_BYTES)).to.equal(total)
      })
    )
  })

  it('comes in pieces of at most 64 KiB and makes the length promised', () => {
    for (const content of [0, 4_088, 4_089, 1_000_000, 20_000_000]) {
      const sizes = [...paddingAfter(content)].map((piece) => piece.length)
      expect(Math.max(...sizes)).to.be.at.most(65_536)
      expect(sizes.reduce((sum, size) => sum + size, content)).to.equal(paddedLength(content))
    }
  })

  it('gives the content back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9_000 }), (content) => {
        expect(Buffer.compare(removePadding(padded(content)), content)).to.equal(0)
      }),
      { numRuns: 50 }
    )
  })

  it('ends with the true length for who cuts it away by hand', () => {
    const whole = Buffer.from(padded(random(5_000)))
    expect(Number(whole.readBigUInt64BE(whole.length - 8))).to.equal(5_000)
  })

  it('is refused with any of its bytes changed', async () => {
    const whole = padded(random(500))
    for (let at = 500; at < whole.length; at++) {
      const copy = new Uint8Array(whole)
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
      await refuses(() => removePadding(copy), 'sealed-damaged')
    }
  })

  it('is refused longer or shorter than it must be', async () => {
    const whole = padded(random(5_000))
    await refuses(() => removePadding(whole.subarray(1)), 'sealed-damaged')
    await refuses(() => removePadding(new Uint8Array(4_095)), 'sealed-damaged')
    await refuses(() => removePadding(new Uint8Array()), 'sealed-damaged')
    await refuses(
      () => removePadding(new Uint8Array(Buffer.concat([whole, Buffer.alloc(4_096)]))),
      'sealed-damaged'
    )
    await refuses(() => parseTrailer(new Uint8Array(7), 4_096), 'sealed-damaged')
    await refuses(() => parseTrailer(new Uint8Array(8).fill(255), 4_096), 'sealed-damaged')
  })

  it('is checked piece by piece as it is checked whole', () => {
    const whole = padded(random(6_000))
    fc.assert(
      fc.property(
        fc.nat(whole.length - 1),
        fc.nat(whole.length),
        fc.nat(),
        (start, size, where) => {
          const piece = new Uint8Array(whole.subarray(start, start + size))
          checkPadding(piece, start, 6_000)
          const at = piece.length === 0 ? 0 : where % piece.length
          piece[at] = (piece[at] ?? 0) ^ 1
          if (start + at >= 6_000 && piece.length > 0)
            expect(() => checkPadding(piece, start, 6_000)).to.throw('padding')
          else checkPadding(piece, start, 6_000)
        }
      )
    )
    expect(() => checkPadding(new Uint8Array(1), whole.length, 6_000)).to.throw('bytes follow')
  })
})
