import { expect } from 'chai'
import { didWebUrl } from '../../../protocols/did/web.ts'
import { refused } from '../../refusal.ts'

const allow = (host: string): boolean => host === 'localhost:8443' || host === 'intranet'

describe('did:web', () => {
  // oxfmt-ignore
  const URLS: ReadonlyArray<readonly [did: string, url: string]> = [
    ['did:web:good.example',                    'https://good.example/.well-known/did.json'],
    ['did:web:good.example:user:alice',         'https://good.example/user/alice/did.json'],
    ['did:web:a-b.xn--mnchen-3ya.example',      'https://a-b.xn--mnchen-3ya.example/.well-known/did.json'],
    ['did:web:good.example:Vorname_1:v1.2-rc',  'https://good.example/Vorname_1/v1.2-rc/did.json']
  ]
  for (const [did, url] of URLS)
    it(`${did} is at ${url}`, () => expect(didWebUrl(did)).to.equal(url))

  // The escapes that stock resolvers turn into another host, and every way to write an address.
  // oxfmt-ignore
  const REFUSED = [
    'good.example%40127.0.0.1', 'good.example%40localhost%3A8443', 'good.example%2F..%2F', 'good.example%3Fx', 'good.example%23', 'good.example%00',
    'good.example%3a8443', 'good.example%3A', 'good.example%3A0', 'good.example%3A443', 'good.example%3A65536', 'good.example%3A80%3A80', 'good.example%3A8x',
    '127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '1.2.3.0x4', '10.0.0.1', '[%3A%3A1]', '[::1]', '%5B%3A%3A1%5D',
    'localhost', 'localhost.', 'good.example.', '.good.example', 'good..example', 'good_.example', '-good.example', 'good-.example', 'GOOD.example',
    'göd.example', '１２７.0.0.1', 'good.example\n', ' good.example', 'user@good.example', 'good.example/x', 'good.example?x', 'good.example#x', '',
    'good.example:', 'good.example::x', 'good.example:..', 'good.example:.', 'good.example:.well-known', 'good.example:a%2Fb', 'good.example:%2e%2e', 'good.example:a b',
    `${'a'.repeat(64)}.example`, `${'a.'.repeat(126)}example`, `good.example${':x'.repeat(17)}`, `good.example:${'x'.repeat(129)}`
  ]
  for (const id of REFUSED) {
    it(`refuses ${JSON.stringify(id.slice(0, 50))}`, () =>
      refused(() => didWebUrl(`did:web:${id}`), 'did-malformed'))
  }

  it('takes ports and single names the operator allowed, and no other', async () => {
    expect(didWebUrl('did:web:localhost%3A8443:a', { allow })).to.equal(
      'https://localhost:8443/a/did.json'
    )
    expect(didWebUrl('did:web:intranet', { allow })).to.equal(
      'https://intranet/.well-known/did.json'
    )
    for (const id of ['localhost', 'localhost%3A8444', 'intranet%3A443']) {
      await refused(() => didWebUrl(`did:web:${id}`, { allow }), 'did-malformed')
    }
  })

  it('takes no address literal, allowed or not', () =>
    refused(() => didWebUrl('did:web:127.0.0.1%3A8443', { allow: () => true }), 'did-malformed'))

  it('refuses other methods', () => refused(() => didWebUrl('did:key:z6Mk'), 'did-unsupported'))
})
