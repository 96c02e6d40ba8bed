/** Bodies of the protocols that are little more than a body: trust-ping 2.0, user-profile 1.0. */
import { expect } from 'chai'
import { ping } from '../../protocols/trust-ping.ts'
import { profile } from '../../protocols/user-profile.ts'

describe('a ping', () => {
  it('asks for a response unless it says otherwise', () => {
    expect(ping.parse({})).to.deep.equal({ response_requested: true })
    expect(ping.parse({ response_requested: false, x: 1 })).to.deep.equal({
      response_requested: false
    })
  })

  it('does not ask with anything but a boolean', () => {
    for (const response_requested of ['false', 0, null]) {
      expect(ping.safeParse({ response_requested }).success).to.equal(false)
    }
  })
})

describe('a profile', () => {
  it('is a name, and perhaps the wish for one in return', () => {
    expect(profile.parse({ profile: { displayName: 'Ana', displayPicture: '#x' } })).to.deep.equal({
      profile: { displayName: 'Ana' },
      send_back_yours: false
    })
  })

  it('may be without a name', () => {
    expect(profile.parse({ profile: {}, send_back_yours: true })).to.deep.equal({
      profile: {},
      send_back_yours: true
    })
  })

  for (const body of [
    {},
    { profile: 'Ana' },
    { profile: { displayName: 7 } },
    { profile: { displayName: 'x'.repeat(1001) } },
    { profile: {}, send_back_yours: 'yes' }
  ]) {
    it(`is not ${JSON.stringify(body).slice(0, 60)}`, () =>
      expect(profile.safeParse(body).success).to.equal(false))
  }
})
