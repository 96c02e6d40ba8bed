import { expect } from 'chai'
import { FORWARD_TYPE, readForward, wrapForward } from '../../../protocols/envelope/forward.ts'
import { packFor } from '../../../protocols/envelope/pack.ts'
import { unpack } from '../../../protocols/envelope/unpack.ts'
import { messageOf, MESSAGE_BYTES_MAX } from '../../../protocols/message.ts'
import { refused } from '../../refusal.ts'
import { hello, keysFor, newParty } from './parties.ts'

const alice = newParty()
const bob = newParty()
const near = newParty(['P-256'])
const far = newParty()

describe('forward', () => {
  it('passes through two mediators that learn only who is next', async () => {
    const message = hello(alice, bob)
    const envelope = packFor(message, {
      to: bob.document,
      from: alice.document,
      secrets: alice.secrets
    })
    const toNear = wrapForward(envelope, { id: 'f1', next: bob.did, to: near.agreement })
    const toFar = wrapForward(toNear, {
      id: 'f2',
      next: near.did,
      to: far.agreement,
      expiresAt: new Date(99_000),
      enc: 'A256GCM'
    })

    const first = await unpack(toFar, keysFor(far))
    expect(first.meta).to.include({ authenticated: false, layers: 1 })
    expect(first.message.expires_time).to.equal(99)
    const second = await unpack(readForward(first.message).envelope, keysFor(near))
    const { next, envelope: last } = readForward(second.message)
    expect(next).to.equal(bob.did)
    expect((await unpack(last, keysFor(bob, alice))).message).to.deep.equal(message)
  })

  it('reads an envelope in base64', () => {
    const base64 = Buffer.from('{"a":1}').toString('base64url')
    const message = messageOf({
      id: 'f',
      type: FORWARD_TYPE,
      body: { next: bob.did },
      attachments: [{ data: { base64 } }]
    })
    expect(Buffer.from(readForward(message).envelope).toString()).to.equal('{"a":1}')
  })

  // oxfmt-ignore
  const FAULTS = [
    { type: FORWARD_TYPE, body: {}, attachments: [{ data: { json: {} } }] },
    { type: FORWARD_TYPE, body: { next: 'nobody' }, attachments: [{ data: { json: {} } }] },
    { type: FORWARD_TYPE, body: { next: bob.did } },
    { type: FORWARD_TYPE, body: { next: bob.did }, attachments: [{ data: { json: {} } }, { data: { json: {} } }] },
    { type: FORWARD_TYPE, body: { next: bob.did }, attachments: [{ data: { links: ['https://x.example'], hash: 'z' } }] },
    { type: 'https://didcomm.org/empty/1.0/empty', body: { next: bob.did }, attachments: [{ data: { json: {} } }] }
  ]
  for (const fields of FAULTS) {
    it(`refuses ${JSON.stringify(fields).slice(44, 120)}`, () =>
      refused(() => readForward(messageOf({ id: 'f', ...fields })), 'message-malformed'))
  }

  it('refuses to wrap what would not fit a frame', () =>
    refused(
      () =>
        wrapForward(Buffer.from(JSON.stringify('x'.repeat(MESSAGE_BYTES_MAX - 100))), {
          id: 'f',
          next: bob.did,
          to: far.agreement
        }),
      'limit-exceeded'
    ))
})
