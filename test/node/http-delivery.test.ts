import { expect } from 'chai'
import { ENVELOPE_BYTES_MAX } from '../../node/didcomm-stream.ts'
import type { GuardedPost } from '../../node/http-delivery.ts'
import { deliverByHttp } from '../../node/http-delivery.ts'
import { failure } from './faulty-files.ts'

const URL = 'https://locker.example/didcomm?to=alice'
const { signal } = new AbortController()
const refuse: GuardedPost = () => Promise.reject(new Error('status 500'))

describe('DIDComm over HTTP', () => {
  it('posts the envelope with its media type', async () => {
    const posted: unknown[] = []
    const post: GuardedPost = (url, { mediaType, body }) => {
      posted.push({ url, mediaType, body })
      return Promise.resolve()
    }
    const envelope = Buffer.alloc(ENVELOPE_BYTES_MAX, 1)
    await deliverByHttp(post, URL, envelope, signal)
    expect(posted).to.deep.equal([
      { url: URL, mediaType: 'application/didcomm-encrypted+json', body: envelope }
    ])
  })

  it('says peer-unreachable and names the host, not the path, when it is not taken', async () => {
    const error = await failure(deliverByHttp(refuse, URL, Buffer.from('x'), signal))
    expect(error.code).to.equal('peer-unreachable')
    expect(error.message).to.contain('locker.example').and.not.contain('alice')
  })

  it('posts neither nothing nor more than 256 KiB', async () => {
    for (const size of [0, ENVELOPE_BYTES_MAX + 1])
      expect((await failure(deliverByHttp(refuse, URL, Buffer.alloc(size), signal))).code).to.equal(
        'envelope-too-large'
      )
  })
})
