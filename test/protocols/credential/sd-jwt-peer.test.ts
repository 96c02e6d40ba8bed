/**
 * Against \@sd-jwt/sd-jwt-vc, an independent implementation of RFC 9901: what one issues or presents, the other
 * reads, with the same claims.
 */
import { createHash, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { expect } from 'chai'
import { systemRandom } from '../../../node/clock.ts'
import { nativeProofCrypto as crypto, nativeSigner } from '../../../protocols/credential/native.ts'
import { issueSdJwt, presentSdJwt, readSdJwt } from '../../../protocols/credential/sd-jwt.ts'
import { keyFromJwk, type PublicKeyJwk } from '../../../protocols/did/multikey.ts'

const VCT = 'https://uni.example/marksheet'
const ISS = 'did:web:uni.example'
const ASKED = { aud: 'did:web:employer.example', nonce: 'n-0S6_WzA2Mj', maxAgeS: 60 }
const NOW = new Date()

const CLAIMS = {
  name: 'அனன்யா ஐயர்',
  address: { street: '7 Mission Road', city: 'Bengaluru' },
  languages: ['en', 'hi', 'ta'],
  mark: 93.5,
  note: null
}
/** What is hidden. */
const POINTERS = ['/name', '/address', '/address/street', '/languages/0', '/languages/2', '/note']
interface Curve {
  readonly alg: 'EdDSA' | 'ES256'
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
}

const CURVES: readonly Curve[] = [
  { alg: 'EdDSA', keys: generateKeyPairSync('ed25519') },
  { alg: 'ES256', keys: generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
]
const holder = generateKeyPairSync('ed25519')

const jwkOf = (key: KeyObject): PublicKeyJwk => keyFromJwk({ ...key.export({ format: 'jwk' }) })

function signerOf({ alg, keys }: Curve): (data: string) => string {
  const hash = alg === 'ES256' ? 'sha256' : null
  const key = { key: keys.privateKey, dsaEncoding: 'ieee-p1363' } as const
  return (data) => sign(hash, Buffer.from(data), key).toString('base64url')
}

function verifierOf({ alg, keys }: Curve): (data: string, signature: string) => boolean {
  const hash = alg === 'ES256' ? 'sha256' : null
  const key = { key: keys.publicKey, dsaEncoding: 'ieee-p1363' } as const
  return (data, signature) =>
    verify(hash, Buffer.from(data), key, Buffer.from(signature, 'base64url'))
}

function peer(curve: Curve): SDJwtVcInstance {
  const binding: Curve = { alg: 'EdDSA', keys: holder }
  return new SDJwtVcInstance({
    signer: signerOf(curve),
    verifier: verifierOf(curve),
    signAlg: curve.alg,
    kbSigner: signerOf(binding),
    kbVerifier: verifierOf(binding),
    kbSignAlg: 'EdDSA',
    hasher: (data, algorithm) =>
      new Uint8Array(
        createHash(algorithm.replace('-', ''))
          .update(Buffer.from(data as string))
          .digest()
      ),
    hashAlg: 'sha-256',
    saltGenerator: (sizeBytes) => Buffer.from(systemRandom(sizeBytes)).toString('base64url')
  })
}

function issued(signer: KeyObject): string {
  return issueSdJwt(
    CLAIMS,
    {
      signer: nativeSigner(signer, `${ISS}#key-1`),
      vct: VCT,
      iss: ISS,
      iat: NOW,
      cnf: { jwk: jwkOf(holder.publicKey) },
      disclosable: POINTERS,
      random: systemRandom
    },
    crypto
  )
}

describe('SD-JWT beside @sd-jwt/sd-jwt-vc', () => {
  const [ours] = CURVES
  if (ours === undefined) throw new Error('no curve')

  it('they read what we issue, whole', async () => {
    const { payload } = await peer(ours).verify(issued(ours.keys.privateKey))
    expect(payload).to.deep.include({ ...CLAIMS, vct: VCT, iss: ISS })
  })

  it('they read what we issue and present, with its key binding', async () => {
    const keyBinding = {
      ...ASKED,
      signer: nativeSigner(holder.privateKey, 'did:key:holder#key'),
      iat: NOW
    }
    const text = presentSdJwt(
      issued(ours.keys.privateKey),
      { disclose: ['/address/street', '/languages/2'], keyBinding },
      crypto
    )
    const { payload, kb } = await peer(ours).verify(text, { keyBindingNonce: ASKED.nonce })
    expect(payload).to.deep.include({
      address: CLAIMS.address,
      languages: ['hi', 'ta'],
      mark: 93.5
    })
    expect(payload).to.not.have.any.keys('name', 'note')
    expect(kb?.payload).to.include({ aud: ASKED.aud, nonce: ASKED.nonce })
  })

  it('they present what we issue, and we read it', async () => {
    const text = await peer(ours).present(
      issued(ours.keys.privateKey),
      { name: true, languages: { 0: true } },
      {
        kb: {
          payload: { iat: Math.floor(NOW.getTime() / 1000), aud: ASKED.aud, nonce: ASKED.nonce }
        }
      }
    )
    const outcome = await readSdJwt(text, {
      key: async () => ({ ok: true, jwk: jwkOf(ours.keys.publicKey) }),
      crypto,
      keyBinding: { ...ASKED, now: NOW }
    })
    if (!outcome.ok) expect.fail(outcome.reason)
    expect(outcome.keyBound).to.equal(true)
    expect(outcome.disclosed).to.have.members(['/name', '/languages/0'])
    expect(outcome.claims).to.deep.include({ name: CLAIMS.name, languages: ['en', 'hi'] })
  })

  for (const curve of CURVES) {
    it(`we read and present what they issue with ${curve.alg}`, async () => {
      const theirs = peer(curve)
      const payload = {
        ...CLAIMS,
        iss: ISS,
        vct: VCT,
        iat: 1_700_000_000,
        cnf: { jwk: jwkOf(holder.publicKey) }
      }
      const whole = await theirs.issue(payload, {
        _sd: ['name', 'address', 'note'],
        address: { _sd: ['street'] },
        languages: { _sd: [0, 2] }
      })
      const key = async () => ({ ok: true as const, jwk: jwkOf(curve.keys.publicKey) })
      const outcome = await readSdJwt(whole, { key, crypto })
      if (!outcome.ok) expect.fail(outcome.reason)
      expect(outcome.claims).to.deep.equal(payload)
      expect(outcome.disclosed).to.have.members(POINTERS)

      const keyBinding = {
        ...ASKED,
        signer: nativeSigner(holder.privateKey, 'did:key:holder#key'),
        iat: NOW
      }
      const text = presentSdJwt(whole, { disclose: ['/address', '/note'], keyBinding }, crypto)
      const verified = await theirs.verify(text, { keyBindingNonce: ASKED.nonce })
      expect(verified.payload).to.deep.include({
        address: { city: 'Bengaluru' },
        note: null,
        languages: ['hi']
      })
      const again = await readSdJwt(text, { key, crypto, keyBinding: { ...ASKED, now: NOW } })
      expect(again).to.include({ ok: true, keyBound: true })
    })
  }
})
