/**
 * The test cases of the SD-JWT reference implementation (openwallet-foundation-labs/sd-jwt-python, its
 * `tests/testcases` and `examples`): 27 in the compact form, and two in the JSON form, whose parts make a compact
 * one. All by one P-256 key, read with `typ` example+sd-jwt.
 */
import { expect } from 'chai'
import { nativeProofCrypto as crypto, nativeSigner } from '../../../protocols/credential/native.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { digestOf, revealClaims } from '../../../protocols/credential/sd-jwt-disclosures.ts'
import {
  issueSdJwt,
  peekSdJwt,
  presentSdJwt,
  readSdJwt
} from '../../../protocols/credential/sd-jwt.ts'
import { parseToken } from '../../../protocols/credential/sd-jwt-token.ts'
import { systemRandom } from '../../../node/clock.ts'
import { readVectors } from '../../vectors.ts'

const ISSUER = {
  kty: 'EC',
  crv: 'P-256',
  x: 'b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ',
  y: 'Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8'
} as const

const ASKED = { aud: 'https://example.com/verifier', nonce: '1234567890', maxAgeS: 3600 }

const NAMES = [
  'examples_address_only_flat',
  'examples_address_only_recursive',
  'examples_address_only_structured',
  'examples_address_only_structured_one_open',
  'examples_complex_eidas',
  'examples_complex_eidas_proposal',
  'examples_complex_ekyc',
  'examples_json_serialization_flattened',
  'examples_jsonld',
  'examples_simple',
  'examples_simple_array',
  'examples_simple_structured',
  'examples_w3c-vc',
  'examples_w3c-vc_for_slide_deck',
  'testcases_array_data_types',
  'testcases_array_full_sd',
  'testcases_array_in_sd',
  'testcases_array_nested_in_plain',
  'testcases_array_none_disclosed',
  'testcases_array_of_nulls',
  'testcases_array_of_objects',
  'testcases_array_of_scalars',
  'testcases_array_recursive_sd_some_disclosed',
  'testcases_header_mod',
  'testcases_json_serialization_flattened',
  'testcases_key_binding',
  'testcases_no_sd',
  'testcases_object_data_types',
  'testcases_recursions'
]
const IN_JSON = new Set(NAMES.filter((name) => name.includes('json_serialization')))
const BOUND = new Set([
  ...IN_JSON,
  'examples_jsonld',
  'examples_simple',
  'examples_simple_array',
  'testcases_header_mod',
  'testcases_key_binding'
])

/** Flattened JSON form, RFC 9901 §8, as the compact one. These files hold JSON in a JSON text. */
function compact(json: string): string {
  const { protected: header, payload, signature, header: rest } = JSON.parse(JSON.parse(json))
  return [`${header}.${payload}.${signature}`, ...rest.disclosures, rest.kb_jwt ?? ''].join('~')
}

/** What issueSdJwt takes from its options, or adds. */
function withoutRegistered(claims: JsonObject): JsonObject {
  const registered = new Set(['iss', 'iat', 'exp', 'nbf', 'cnf', 'vct'])
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !registered.has(name)))
}

describe('SD-JWT, cases of the reference implementation', () => {
  for (const name of NAMES) {
    describe(name, () => {
      let issuance = ''
      let presentation = ''
      let userClaims: JsonObject = {}
      let verified: JsonObject = {}

      before(function () {
        const read = (file: string): string => readVectors(this, `sd-jwt/${name}/${file}`)
        const text = (file: string): string =>
          IN_JSON.has(name) ? compact(read(`${file}.json`)) : read(`${file}.txt`)
        issuance = text('sd_jwt_issuance')
        presentation = text('sd_jwt_presentation')
        userClaims = JSON.parse(read('user_claims.json')) as JsonObject
        verified = JSON.parse(read('verified_contents.json')) as JsonObject
      })

      /** Pointers into the full claims of what the case's holder shows. */
      function shownPointers(): string[] {
        const [jwt = '', ...disclosures] = issuance.split('~').slice(0, -1)
        const { payload } = parseToken(jwt, 'malformed', 'it')
        const digest = digestOf(payload['_sd_alg'], crypto)
        const { revealed } = revealClaims(payload, disclosures, { digest, fixed: new Set() })
        const shown = new Set(presentation.split('~').slice(1, -1))
        return revealed.filter(({ text }) => shown.has(text)).map(({ pointer }) => pointer)
      }

      it('reads the presentation as the claims that were verified', async () => {
        const options = {
          key: async () => ({ ok: true as const, jwk: ISSUER }),
          crypto,
          types: ['example+sd-jwt']
        }
        const bound = BOUND.has(name)
        const now = new Date(1_795_460_560_000)
        const outcome = await readSdJwt(
          presentation,
          bound ? { ...options, keyBinding: { ...ASKED, now } } : options
        )
        if (!outcome.ok) expect.fail(`${outcome.fault}: ${outcome.reason}`)
        expect(outcome.claims).to.deep.equal(verified)
        expect(outcome.keyBound).to.equal(bound)
        expect(outcome.disclosed).to.have.length(presentation.split('~').length - 2)
      })

      it('finds every claim of the holder in what was issued', () => {
        const peek = peekSdJwt(issuance, crypto)
        if (!peek.ok) expect.fail(`${peek.fault}: ${peek.reason}`)
        expect(peek.claims).to.deep.include(userClaims)
        expect(peek.disclosed).to.have.length(issuance.split('~').length - 2)
      })

      it('presents the same disclosures as the case', () => {
        const ours = presentSdJwt(issuance, { disclose: shownPointers() }, crypto).split('~')
        expect(ours.slice(1, -1)).to.have.members(presentation.split('~').slice(1, -1))
        expect(ours[0]).to.equal(presentation.split('~')[0])
      })

      it('issues the claims anew, and the same choice shows the same', async () => {
        const peek = peekSdJwt(issuance, crypto)
        if (!peek.ok) expect.fail(peek.reason)
        const { header, disclosed } = peek
        expect(header['alg']).to.equal('ES256')
        const claims = withoutRegistered(peek.claims)
        const ours = issueSdJwt(
          claims,
          {
            signer: nativeSigner(systemRandom(32), 'did:example:issuer#key-1'),
            vct: 'https://example.com/vct',
            iss: 'did:example:issuer',
            iat: new Date(1_683_000_000_000),
            disclosable: disclosed,
            random: systemRandom
          },
          crypto
        )
        const again = peekSdJwt(ours, crypto)
        if (!again.ok) expect.fail(again.reason)
        expect(again.disclosed).to.have.members(disclosed)
        expect(withoutRegistered(again.claims)).to.deep.equal(claims)
        const presented = peekSdJwt(
          presentSdJwt(ours, { disclose: shownPointers() }, crypto),
          crypto
        )
        if (!presented.ok) expect.fail(presented.reason)
        expect(withoutRegistered(presented.claims)).to.deep.equal(withoutRegistered(verified))
      })
    })
  }
})
