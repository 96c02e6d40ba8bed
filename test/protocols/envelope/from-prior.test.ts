import { expect } from 'chai'
import {
  fromPriorIsCurrent,
  packFromPrior,
  unpackFromPrior
} from '../../../protocols/envelope/from-prior.ts'
import { signJwt } from '../../../protocols/envelope/jws.ts'
import { refused } from '../../refusal.ts'
import { keysFor, newParty } from './parties.ts'

const old = newParty()
const next = newParty()
const { resolveKey } = keysFor(next, old)
const signer = old.secret('authentication')

describe('from_prior', () => {
  it('says that one DID is now another, signed by the old one', async () => {
    const jwt = packFromPrior(
      { iss: old.did, sub: next.did, issuedAt: new Date(1_700_000_000_999) },
      signer
    )
    expect(await unpackFromPrior(jwt, resolveKey)).to.deep.equal({
      iss: old.did,
      sub: next.did,
      iat: 1_700_000_000,
      kid: signer.kid
    })
  })

  it('is not signed with a key of another DID', async () => {
    const claims = { iss: old.did, sub: next.did, issuedAt: new Date(0) }
    await refused(
      () => packFromPrior(claims, next.secret('authentication')),
      'envelope-unsupported'
    )
    const jwt = signJwt({ iss: old.did, sub: next.did }, next.secret('authentication'))
    await refused(() => unpackFromPrior(jwt, resolveKey), 'envelope-unauthenticated')
  })

  for (const claims of [{}, { iss: 'x', sub: 'y' }, { iss: newParty().did }, { sub: 7 }]) {
    it(`refuses the claims ${JSON.stringify(claims).slice(0, 24)}`, () =>
      refused(() => unpackFromPrior(signJwt(claims, signer), resolveKey), 'envelope-malformed'))
  }

  // oxfmt-ignore
  const TIMES: ReadonlyArray<readonly [claim: object, now: number, current: boolean]> = [
    [{},            0,       true],
    [{ exp: 1000 }, 1300,    true],
    [{ exp: 1000 }, 1300.001, false],
    [{ nbf: 1000 }, 700,     true],
    [{ nbf: 1000 }, 699.999, false]
  ]
  for (const [claim, now, current] of TIMES) {
    it(`with ${JSON.stringify(claim)} is ${current ? '' : 'not '}current at ${now} s`, () => {
      const facts = { iss: old.did, sub: next.did, kid: signer.kid, ...claim }
      expect(fromPriorIsCurrent(facts, new Date(now * 1000))).to.equal(current)
    })
  }
})
