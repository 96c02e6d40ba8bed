/** The share page's reader: the browser's cryptography against Node's, and against tampering. */
import { expect } from 'chai'
import fc from 'fast-check'
import { Problem } from '../../gateway/web/problem.ts'
import { webPrimitives } from '../../gateway/web/share/primitives.ts'
import { openSealedFile } from '../../gateway/web/share/sealed-file.ts'
import { readSealed } from '../../gateway/web/share/sealed-source.ts'
import { ProtocolError } from '../../protocols/errors.ts'
import { formatHeader } from '../../protocols/sealed/header.ts'
import { native } from '../../protocols/sealed/native.ts'
import { paddingAfter } from '../../protocols/sealed/padding.ts'
import { CHUNK_BYTES, payloadKey, sealChunk } from '../../protocols/sealed/stream.ts'

const FILE_KEY = Uint8Array.from({ length: 16 }, (_, place) => place + 1)
const NONCE = new Uint8Array(16).fill(9)

/** An age file as the agent seals it, with Node's cryptography. */
function seal(content: Uint8Array, fileKey = FILE_KEY): Buffer {
  const padded = Buffer.concat([content, ...paddingAfter(content.length)])
  const header = formatHeader(
    [{ args: ['X25519', 'somebody'], body: new Uint8Array(32) }],
    fileKey,
    native
  )
  const key = payloadKey(fileKey, NONCE, native)
  const count = Math.ceil(padded.length / CHUNK_BYTES)
  const chunks = Array.from({ length: count }, (_, index) =>
    sealChunk(native.aead, key, {
      index,
      last: index === count - 1,
      plaintext: padded.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    })
  )
  return Buffer.concat([header, NONCE, ...chunks])
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

async function open(
  sealed: Uint8Array,
  sizeBytes: number,
  { size = 10_000, fileKey = FILE_KEY } = {}
): Promise<Buffer> {
  const source = pieces(sealed, size)
  return Buffer.concat(
    await Array.fromAsync(openSealedFile(source, { fileKey, sizeBytes }, webPrimitives))
  )
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('nothing was refused')
}

describe('the browser’s cryptography', () => {
  it('computes what Node’s does', () =>
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ maxLength: 300 }),
        (key, nonce, text) => {
          const sealed = webPrimitives.aead.seal(key, nonce, text)
          expect(sealed).to.deep.equal(native.aead.seal(key, nonce, text))
          expect(native.aead.open(key, nonce, sealed)).to.deep.equal(text)
          expect(webPrimitives.hmacSha256(key, text)).to.deep.equal(native.hmacSha256(key, text))
          expect(webPrimitives.hkdfSha256(key, nonce, 'payload', 32)).to.deep.equal(
            native.hkdfSha256(key, nonce, 'payload', 32)
          )
        }
      ),
      { numRuns: 40 }
    ))

  it('refuses what was changed', () => {
    const key = new Uint8Array(32)
    const nonce = new Uint8Array(12)
    const sealed = webPrimitives.aead.seal(key, nonce, new Uint8Array(5))
    sealed[3] = (sealed[3] ?? 0) ^ 1
    expect(() => webPrimitives.aead.open(key, nonce, sealed)).to.throw()
  })
})

describe('a shared document in the browser', () => {
  for (const size of [0, 1, 4_088, 4_089, CHUNK_BYTES, 3 * CHUNK_BYTES + 17])
    it(`opens ${size} bytes`, async () => {
      const content = Buffer.alloc(size, 0x5a)
      expect((await open(seal(content), size)).equals(content)).to.be.true
    })

  it('opens however the network cuts it', async () => {
    const content = Buffer.from('a document of some words')
    const sealed = seal(content)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: sealed.length }), async (size) => {
        expect((await open(sealed, content.length, { size })).equals(content)).to.be.true
      }),
      { numRuns: 30 }
    )
  })

  it('refuses any flipped bit', async () => {
    const content = Buffer.from('a document of some words')
    const sealed = seal(content)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: sealed.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        async (place, bit) => {
          const changed = Buffer.from(sealed)
          changed[place] = (changed[place] ?? 0) ^ (1 << bit)
          const error = await failure(open(changed, content.length))
          expect(error).to.be.instanceOf(ProtocolError)
          expect((error as ProtocolError).code).to.match(/^sealed-(damaged|malformed)$/)
        }
      ),
      { numRuns: 150 }
    )
  })

  it('refuses a file cut anywhere, also between chunks', async () => {
    const sealed = seal(Buffer.alloc(2 * CHUNK_BYTES))
    for (const end of [0, 10, 200, sealed.length - 1, sealed.length - 5_000])
      expect(await failure(open(sealed.subarray(0, end), 2 * CHUNK_BYTES))).to.be.instanceOf(
        ProtocolError
      )
  })

  it('refuses another key, another length, and bytes after the end', async () => {
    const sealed = seal(Buffer.alloc(100))
    const other = new Uint8Array(16)
    for (const attempt of [
      open(sealed, 100, { fileKey: other }),
      open(sealed, 99),
      open(sealed, 5_000),
      open(Buffer.concat([sealed, Buffer.alloc(1)]), 100)
    ])
      expect(await failure(attempt)).to.have.property('code', 'sealed-damaged')
  })
})

describe('reading an opened link', () => {
  const BYTES = Buffer.from(Array.from({ length: 1000 }, (_, place) => place % 251))

  /** Answers ranges of BYTES, but breaks each answer off after `most` bytes, for the first `breaks` times. */
  function network(breaks: number, most: number): { fetch: typeof fetch; asked: string[] } {
    const asked: string[] = []
    return {
      asked,
      fetch: ((_url: string, init: RequestInit) => {
        const range = new Headers(init.headers).get('range') ?? ''
        asked.push(range)
        const start = Number(/bytes=(\d+)-/.exec(range)?.[1])
        const broken = asked.length <= breaks
        const part = BYTES.subarray(start, broken ? start + most : undefined)
        let sent = false
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            if (!sent && part.length > 0) controller.enqueue(part)
            else if (broken) controller.error(new TypeError('network error'))
            else controller.close()
            sent = true
          }
        })
        return Promise.resolve(new Response(body, { status: 206 }))
      }) as typeof fetch
    }
  }

  function read(source: { fetch: typeof fetch }, size = BYTES.length): Promise<Uint8Array[]> {
    return Array.fromAsync(
      readSealed(
        '/s/x/content',
        size,
        { fetch: source.fetch, pause: () => Promise.resolve() },
        () => undefined
      )
    )
  }

  it('goes on where a broken connection stopped, on the same ticket', async () => {
    const source = network(7, 100)
    expect(Buffer.concat(await read(source)).equals(BYTES)).to.be.true
    expect(source.asked).to.include('bytes=700-')
  })

  it('gives up after five attempts without a byte', async () => {
    const source = network(100, 0)
    expect(await failure(read(source))).to.include({ code: 'unreachable' })
    expect(source.asked).to.have.length(5)
  })

  it('does not repeat what was refused', async () => {
    let asked = 0
    const refused = (() => {
      asked += 1
      return Promise.resolve(
        new Response('{"code":"link-unknown"}', {
          status: 404,
          headers: { 'content-type': 'application/problem+json' }
        })
      )
    }) as typeof fetch
    expect(await failure(read({ fetch: refused }))).to.include({ code: 'link-unknown' })
    expect(asked).to.equal(1)
  })

  it('refuses more bytes than the sender said', async () => {
    const error = await failure(read(network(0, 0), 999))
    expect(error).to.be.instanceOf(Problem)
    expect(error).to.include({ code: 'sealed-damaged' })
  })
})
