/** SD-JWT VC with ten disclosures and a key binding: issue, present, verify, beside @sd-jwt/sd-jwt-vc. */
import {
  createHash,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  type KeyObject
} from 'node:crypto'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { systemRandom } from '../../node/clock.ts'
import { nativeProofCrypto, nativeSigner } from '../../protocols/credential/native.ts'
import { issueSdJwt, presentSdJwt, readSdJwt } from '../../protocols/credential/sd-jwt.ts'
import { keyFromJwk } from '../../protocols/did/multikey.ts'
import { perSecond, type Row } from './row.ts'

const CLAIMS = {
  name: 'Ananya Iyer',
  birthDate: '2004-02-29',
  rollNumber: '1MS22CS014',
  programme: 'Bachelor of Engineering',
  university: 'Visvesvaraya Technological University',
  semester: 7,
  grade: 'A',
  cgpa: 9.1,
  percentage: 86.4,
  medium: 'English'
}
const NAMES = Object.keys(CLAIMS) as (keyof typeof CLAIMS)[]
const POINTERS = NAMES.map((name) => `/${name}`)

/** What the holder shows: half. */
const SHOWN = POINTERS.slice(0, 5)
const ISS = 'did:web:uni.example'
const VCT = 'https://uni.example/marksheet'
const ASKED = { aud: 'did:web:employer.example', nonce: 'n-0S6_WzA2Mj' }

interface Keys {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export async function sdJwtRows(): Promise<Row[]> {
  const issuer = generateKeyPairSync('ed25519')
  const holder = generateKeyPairSync('ed25519')
  const ours = implementation(issuer, holder)
  const theirs = peer(issuer, holder)
  const whole = ours.issue()
  const [presented, theirWhole] = [ours.present(whole), await theirs.issue()]
  const theirPresented = await theirs.present(theirWhole)
  const message = randomBytes(1024)
  const signature = sign(null, message, issuer.privateKey)
  const signs = await perSecond(() => sign(null, message, issuer.privateKey))
  const verifies = await perSecond(() => verify(null, message, issuer.publicKey, signature))
  const one = { what: 'Ed25519 sign', value: signs }
  const two = { what: 'two Ed25519 verify', value: verifies / 2 }
  return [
    await row('issue', one, [ours.issue, theirs.issue]),
    await row('present 5, key bound', one, [
      () => ours.present(whole),
      () => theirs.present(theirWhole)
    ]),
    await row('verify 5, key bound', two, [
      () => ours.read(presented),
      () => theirs.read(theirPresented)
    ])
  ]
}

function implementation(issuer: Keys, holder: Keys) {
  const signer = nativeSigner(issuer.privateKey, `${ISS}#key-1`)
  const holderSigner = nativeSigner(holder.privateKey, 'did:key:holder#key')
  const [jwk, holderJwk] = [issuer, holder].map(({ publicKey }) =>
    keyFromJwk({ ...publicKey.export({ format: 'jwk' }) })
  )
  if (jwk === undefined || holderJwk === undefined) throw new Error('a key is missing')
  const crypto = nativeProofCrypto
  const now = new Date()
  const key = async () => ({ ok: true as const, jwk })
  return {
    issue: (): string =>
      issueSdJwt(
        CLAIMS,
        {
          signer,
          vct: VCT,
          iss: ISS,
          iat: now,
          cnf: { jwk: holderJwk },
          disclosable: POINTERS,
          random: systemRandom
        },
        crypto
      ),
    present: (text: string): string =>
      presentSdJwt(
        text,
        { disclose: SHOWN, keyBinding: { ...ASKED, signer: holderSigner, iat: now } },
        crypto
      ),
    read: async (text: string): Promise<void> => {
      const outcome = await readSdJwt(text, {
        key,
        crypto,
        keyBinding: { ...ASKED, now, maxAgeS: 60 }
      })
      if (!outcome.ok || !outcome.keyBound || outcome.disclosed.length !== SHOWN.length) {
        throw new Error('ours does not verify')
      }
    }
  }
}

function peer(issuer: Keys, holder: Keys) {
  const signWith = (keys: Keys) => (data: string) =>
    sign(null, Buffer.from(data), keys.privateKey).toString('base64url')
  const verifyWith = (keys: Keys) => (data: string, signature: string) =>
    verify(null, Buffer.from(data), keys.publicKey, Buffer.from(signature, 'base64url'))
  const instance = new SDJwtVcInstance({
    signer: signWith(issuer),
    verifier: verifyWith(issuer),
    signAlg: 'EdDSA',
    kbSigner: signWith(holder),
    kbVerifier: verifyWith(holder),
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
  const iat = Math.floor(Date.now() / 1000)
  const jwk = holder.publicKey.export({ format: 'jwk' })
  const payload = { ...CLAIMS, iss: ISS, vct: VCT, iat, cnf: { jwk } }
  const shown = Object.fromEntries(SHOWN.map((pointer) => [pointer.slice(1), true]))
  return {
    issue: () => instance.issue(payload, { _sd: NAMES }),
    present: (text: string) =>
      instance.present(text, shown, { kb: { payload: { iat, ...ASKED } } }),
    read: async (text: string): Promise<void> => {
      const { kb } = await instance.verify(text, { keyBindingNonce: ASKED.nonce })
      if (kb === undefined) throw new Error('theirs does not verify')
    }
  }
}

async function row(
  what: string,
  limit: { readonly what: string; readonly value: number },
  [ours, theirs]: readonly [() => unknown, () => unknown]
): Promise<Row> {
  return {
    what: `SD-JWT VC, 10 disclosures: ${what}`,
    unit: '/s',
    ours: await perSecond(ours),
    limit,
    peer: { what: '@sd-jwt/sd-jwt-vc', value: await perSecond(theirs) }
  }
}
