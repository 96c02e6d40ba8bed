/** Whatever is done to an envelope on its way: it is refused with a ProtocolError, or it says what was sent. */
import { expect } from 'chai'
import fc from 'fast-check'
import { ProtocolError } from '../../../protocols/errors.ts'
import { signJws } from '../../../protocols/envelope/jws.ts'
import { packFor, type PackForOptions } from '../../../protocols/envelope/pack.ts'
import { unpack, type UnpackOptions } from '../../../protocols/envelope/unpack.ts'
import { hello, keysFor, newParty, utf8 } from './parties.ts'

const SLOW = process.env['SLOW'] === '1'

interface Sample {
  readonly name: string
  readonly envelope: Buffer
  readonly message: unknown
  readonly options: UnpackOptions
}

function samples(): readonly Sample[] {
  const kinds: ReadonlyArray<
    readonly [name: string, curve: 'X25519' | 'P-256', how: Partial<PackForOptions>]
  > = [
    ['authcrypt on X25519', 'X25519', { as: 'authcrypt' }],
    ['authcrypt on P-256', 'P-256', { as: 'authcrypt' }],
    ['protected sender', 'X25519', { as: 'protect-sender', enc: 'A256GCM' }],
    ['anoncrypt(sign)', 'X25519', { as: 'sign', enc: 'XC20P' }]
  ]
  const encrypted = kinds.map(([name, curve, how]) => {
    const alice = newParty([curve])
    const bob = newParty([curve])
    const message = hello(alice, bob, { body: {} })
    const { document: to } = bob
    const envelope = packFor(message, { to, from: alice.document, secrets: alice.secrets, ...how })
    return { name, envelope: Buffer.from(envelope), message, options: keysFor(bob, alice) }
  })
  const alice = newParty()
  const message = hello(alice, alice, { body: {} })
  const signed = utf8(signJws(utf8(message), alice.secret('authentication')))
  const options = { ...keysFor(alice), allowUnencrypted: true }
  return [...encrypted, { name: 'a signed message', envelope: signed, message, options }]
}

/** The message, or undefined when it was refused in the proper way. */
async function outcome(bytes: Uint8Array, options: UnpackOptions): Promise<unknown> {
  try {
    return (await unpack(bytes, options)).message
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

for (const { name, envelope, message, options } of samples()) {
  describe(`tampering with ${name}`, () => {
    it('finds the envelope sound', async () => {
      expect(await outcome(envelope, options)).to.deep.equal(message)
    })

    it('refuses it with any one byte changed', async function () {
      this.timeout(60_000)
      for (let position = 0; position < envelope.length; position++) {
        for (const bit of SLOW ? [0, 1, 2, 3, 4, 5, 6, 7] : [position % 7]) {
          const changed = Buffer.from(envelope)
          changed[position] = (changed[position] ?? 0) ^ (1 << bit)
          expect(await outcome(changed, options), `byte ${position}, bit ${bit}`).to.equal(
            undefined
          )
        }
      }
    })

    it('refuses it cut short anywhere', async () => {
      const step = SLOW ? 1 : 17
      for (let end = 0; end < envelope.length; end += step) {
        expect(await outcome(envelope.subarray(0, end), options), `${end} bytes`).to.equal(
          undefined
        )
      }
    })

    it('never says anything else than what was sent', async function () {
      this.timeout(SLOW ? 600_000 : 20_000)
      const property = fc.asyncProperty(mutation(envelope), async (bytes) => {
        const received = await outcome(bytes, options)
        if (received !== undefined) expect(received).to.deep.equal(message)
      })
      await fc.assert(
        property,
        SLOW
          ? { numRuns: 20_000 }
          : { numRuns: 2_000, interruptAfterTimeLimit: 400, markInterruptAsFailure: false }
      )
    })
  })
}

/** Bytes put in, taken out and doubled; and, on the JSON's own level, members replaced by other values. */
function mutation(envelope: Buffer): fc.Arbitrary<Uint8Array> {
  const position = fc.nat(envelope.length)
  const spliced = fc
    .tuple(position, fc.nat(64), fc.uint8Array({ maxLength: 64 }))
    .map(([at, remove, insert]) =>
      Buffer.concat([envelope.subarray(0, at), insert, envelope.subarray(at + remove)])
    )
  const doubled = fc
    .tuple(position, position)
    .map(([from, to]) => Buffer.concat([envelope.subarray(0, to), envelope.subarray(from)]))
  const members = fc
    .tuple(fc.array(fc.nat(8), { minLength: 1, maxLength: 6 }), fc.jsonValue({ maxDepth: 3 }))
    .map(([path, value]) => utf8(replaced(JSON.parse(envelope.toString()), path, value)))
  const headers = fc
    .tuple(fc.constantFrom('protected', 'tag', 'iv', 'ciphertext', 'payload'), fc.jsonValue())
    .map(([member, value]) => {
      const json: Record<string, unknown> = JSON.parse(envelope.toString())
      return utf8({ ...json, [member]: utf8(value).toString('base64url') })
    })
  return fc.oneof(spliced, doubled, members, headers)
}

/** The value with what the path leads to (an index of a member at each level) replaced. */
function replaced(value: unknown, [index = 0, ...rest]: readonly number[], by: unknown): unknown {
  if (typeof value !== 'object' || value === null) return by
  const keys = Object.keys(value)
  const key = keys[index % Math.max(1, keys.length)]
  if (key === undefined) return by
  const member: unknown = Reflect.get(value, key)
  const next = rest.length === 0 ? by : replaced(member, rest, by)
  return Array.isArray(value)
    ? value.map((each: unknown, position) => (String(position) === key ? next : each))
    : { ...value, [key]: next }
}
