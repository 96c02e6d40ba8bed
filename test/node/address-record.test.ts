import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import {
  ADDRESS_RECORD_BYTES_MAX,
  SequenceMemory,
  addressKey,
  addressRecordRules,
  openAddressRecord,
  sealAddressRecord
} from '../../node/address-record.ts'
import { openSmallFiles } from '../../node/small-files.ts'
import { FakeClock } from '../clock.ts'
import { failure, temporaryFolder } from './faulty-files.ts'

const ADDRESSES = [multiaddr('/ip4/127.0.0.1/tcp/4282')]

describe('address record', () => {
  it('opens to what was signed', async () => {
    const key = await generateKeyPair('Ed25519')
    const peerId = peerIdFromPrivateKey(key).toString()
    const record = await openAddressRecord(
      addressKey(peerId),
      await sealAddressRecord(key, ADDRESSES, 7n)
    )
    expect(record.peerId).to.equal(peerId)
    expect(record.sequence).to.equal(7n)
    expect(record.multiaddrs.map(String)).to.deep.equal(ADDRESSES.map(String))
  })

  it('never opens to anything else than was signed, nor under another key, nor when too large', async () => {
    const key = await generateKeyPair('Ed25519')
    const peerId = peerIdFromPrivateKey(key).toString()
    const value = await sealAddressRecord(key, ADDRESSES, 7n)
    for (let position = 0; position < value.length; position++) {
      const flipped = Uint8Array.from(value)
      flipped[position]! ^= 1
      const opened = await openAddressRecord(addressKey(peerId), flipped).catch(() => undefined)
      // A protobuf tag can be flipped without changing what it says; the content cannot.
      if (opened !== undefined)
        expect(
          [opened.sequence, ...opened.multiaddrs.map(String)],
          `byte ${position}`
        ).to.deep.equal([7n, ...ADDRESSES.map(String)])
    }
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
    await failure(openAddressRecord(addressKey(other), value))
    await failure(
      openAddressRecord(addressKey(peerId), new Uint8Array(ADDRESS_RECORD_BYTES_MAX + 1))
    )
  })

  it('is refused when a newer one has been seen, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const files = await openSmallFiles({ folder: folder.path })
    const clock = new FakeClock()
    const memory = await SequenceMemory.open(files, clock)
    const key = await generateKeyPair('Ed25519')
    const name = addressKey(peerIdFromPrivateKey(key).toString())
    const [older, newer] = [
      await sealAddressRecord(key, ADDRESSES, 1n),
      await sealAddressRecord(key, ADDRESSES, 2n)
    ]
    const [validate] = Object.values(addressRecordRules(memory).validators)
    await validate!(name, older)
    await validate!(name, newer)
    await validate!(name, newer)
    expect((await failure(validate!(name, older))).message).to.contain('2 has been seen')
    await memory.flush()
    const reopened = addressRecordRules(await SequenceMemory.open(files, clock))
    const [validateAgain] = Object.values(reopened.validators)
    await failure(validateAgain!(name, older))
    const [select] = Object.values(reopened.selectors)
    expect(select!(name, [older, newer, Buffer.from('rubbish')])).to.equal(1)
  })

  it('writes what it has seen five seconds later, once, and starts anew from a damaged file', async () => {
    await using folder = await temporaryFolder()
    const files = await openSmallFiles({ folder: folder.path })
    const clock = new FakeClock()
    const memory = await SequenceMemory.open(files, clock)
    memory.note('a', 1n)
    memory.note('__proto__', 2n)
    expect(await files.read('sequences')).to.equal(undefined)
    await clock.advance(5_000)
    await memory.flush()
    const reopened = await SequenceMemory.open(files, clock)
    expect([reopened.highest('a'), reopened.highest('__proto__')]).to.deep.equal([1n, 2n])
    await files.write('sequences', Buffer.from('{"v":1,"peers":{}}'))
    expect((await SequenceMemory.open(files, clock)).highest('a')).to.equal(0n)
  })

  it('forgets the peer heard of longest ago when it knows ten thousand', async () => {
    await using folder = await temporaryFolder()
    const files = await openSmallFiles({ folder: folder.path })
    const memory = await SequenceMemory.open(files, new FakeClock())
    for (let n = 0; n <= 10_000; n++) memory.note(`peer-${n}`, 5n)
    expect(memory.highest('peer-0')).to.equal(0n)
    expect(memory.highest('peer-1')).to.equal(5n)
    await memory.flush()
    expect((await SequenceMemory.open(files, new FakeClock())).highest('peer-10000')).to.equal(5n)
  })
})
