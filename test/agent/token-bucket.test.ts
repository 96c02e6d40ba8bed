import { expect } from 'chai'
import { PEER_RATE as RATE } from '../../agent/admission.ts'
import { TokenBucket } from '../../agent/token-bucket.ts'

function at(ms: number): Date {
  return new Date(1_800_000_000_000 + ms)
}

/** How many of the tokens asked for at that moment the bucket gives. */
function taken(bucket: TokenBucket, ms: number, asked: number): number {
  let count = 0
  for (let time = 0; time < asked; time += 1) if (bucket.take(at(ms)) === 0) count += 1
  return count
}

describe('token bucket', () => {
  it('gives a burst, and then so many a second', () => {
    const bucket = new TokenBucket(RATE, at(0))
    expect(taken(bucket, 0, 200)).to.equal(100)
    expect(taken(bucket, 1000, 200)).to.equal(50)
    expect(taken(bucket, 1010, 200)).to.equal(0)
    expect(taken(bucket, 60_000, 200)).to.equal(100)
  })

  it('says how long the next token takes', () => {
    const bucket = new TokenBucket(RATE, at(0))
    taken(bucket, 0, 100)
    expect(bucket.take(at(0))).to.equal(20)
    expect(bucket.take(at(15))).to.equal(5)
  })

  it('reserves tokens in advance, first come first served, up to so many', () => {
    const bucket = new TokenBucket(RATE, at(0))
    taken(bucket, 0, 100)
    expect([1, 2, 3].map(() => bucket.reserve(at(0), 3))).to.deep.equal([20, 40, 60])
    expect(bucket.reserve(at(0), 3)).to.equal(undefined)
    expect(bucket.reserve(at(20), 3)).to.equal(60)
  })

  it('gives nothing for a clock that is set back, and goes on from there', () => {
    const bucket = new TokenBucket(RATE, at(3_600_000))
    taken(bucket, 3_600_000, 100)
    expect(taken(bucket, 0, 10)).to.equal(0)
    expect(taken(bucket, 1000, 100)).to.equal(50)
  })

  it('is full when nothing was taken for long enough', () => {
    const bucket = new TokenBucket(RATE, at(0))
    expect(bucket.full(at(0))).to.equal(true)
    taken(bucket, 0, 50)
    expect(bucket.full(at(999))).to.equal(false)
    expect(bucket.full(at(1000))).to.equal(true)
  })
})
