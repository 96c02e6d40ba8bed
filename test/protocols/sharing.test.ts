import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import fc from 'fast-check'
import { advance, type Exchange } from '../../protocols/exchange.ts'
import {
  isSharingMessage,
  sharing,
  sharingBodies,
  SHARING_NAME_CHARACTERS_MAX,
  SHARING_PEERS_MAX,
  SHARING_TEXT_CHARACTERS_MAX,
  type SharingMessage,
  type SharingRole,
  type SharingState
} from '../../protocols/sharing.ts'

const start = (role: SharingRole): Exchange<SharingRole, SharingState> => ({
  thid: 'thread-1',
  role,
  state: 'start'
})

const ROOT = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const RAW_ROOT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'

const resource = {
  root: ROOT,
  sealed_bytes: 8192,
  size_bytes: 4000,
  media_type: 'application/pdf',
  name: 'degree.pdf'
}
const grant = {
  resource,
  key: 'AAECAwQFBgcICQoLDA0ODw',
  permission: 'read',
  purpose: 'admission',
  valid_until: '2026-12-24T00:00:00Z'
}

const senders = (message: SharingMessage): string[] => [
  ...new Set(
    sharing.rules.filter((row) => row[2] === 'send' && row[3] === message).map((row) => row[0])
  )
]

const accepts = (schema: keyof typeof sharingBodies, body: unknown): boolean =>
  sharingBodies[schema].safeParse(body).success

const named = (count: number): unknown => ({
  ...grant,
  resource: { ...resource, name: 'n'.repeat(count) }
})

const peers = (count: number): unknown => ({ peer_ids: Array(count).fill(PEER) })

const sized = (size_bytes: unknown, sealed_bytes: unknown): unknown => ({
  ...grant,
  resource: { ...resource, size_bytes, sealed_bytes }
})

describe('share 1.0', () => {
  it('is symmetric: what one side may send, the other may receive, and both reach the same state', () => {
    const messages = [...new Set(sharing.rules.map((row) => row[3]))]
    const step = fc.tuple(
      fc.constantFrom<SharingRole>('owner', 'recipient'),
      fc.constantFrom<SharingMessage>(...messages)
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const side = { owner: start('owner'), recipient: start('recipient') }
        for (const [sender, message] of steps) {
          const receiver = sender === 'owner' ? 'recipient' : 'owner'
          const sent = advance(sharing, side[sender], 'send', message)
          const received = advance(sharing, side[receiver], 'receive', message)
          expect(received.ok, `${receiver} and ${message}`).to.equal(sent.ok)
          if (!sent.ok || !received.ok) continue
          side[sender] = sent.exchange
          side[receiver] = received.exchange
          expect(side.owner.state).to.equal(side.recipient.state)
        }
      }),
      { numRuns: 2000 }
    )
  })

  it('has one row for each role, state, direction and message', () => {
    const keys = sharing.rules.map((row) => row.slice(0, 4).join(' '))
    expect(new Set(keys).size).to.equal(keys.length)
  })

  it('ends in declined and revoked', () => {
    const final = sharing.rules.filter((row) => row[1] === 'declined' || row[1] === 'revoked')
    expect(final).to.be.empty
  })

  it('lets only the owner grant, revoke and replace, and only the recipient request and accept', () => {
    for (const message of ['grant', 'revoke', 'replace'] as const)
      expect(senders(message)).to.deep.equal(['owner'])
    for (const message of ['request', 'accept'] as const)
      expect(senders(message)).to.deep.equal(['recipient'])
  })

  it('has the state table that its specification states', () => {
    const page = readFileSync('protocols/sharing.md', 'utf8')
    const table = page.slice(
      page.search(/^\| role +\| state/m),
      page.indexOf('\nEverything outside')
    )
    const rows = [...table.matchAll(/^\|(.+)\|$/gm)].map((match) =>
      (match[1] ?? '').split('|').map((cell) => cell.trim())
    )
    expect(rows.slice(2)).to.deep.equal(sharing.rules)
    expect(page).to.include(`\`${sharing.piuri}\``)
  })

  it('gives every example of its specification a body that its schema takes', () => {
    const page = readFileSync('protocols/sharing.md', 'utf8')
    const examples = [...page.matchAll(/^`(\w+)` —[^`]*[\s\S]*?```json\n([\s\S]*?)```/gm)]
    const names = examples.map((match) => match[1])
    expect(names).to.include.members(['request', 'grant'])
    for (const [, name, json] of examples) {
      if (name !== 'request' && name !== 'grant') continue
      const body: unknown = JSON.parse((json ?? '').replace('bafybei…', ROOT))
      expect(sharingBodies[name].safeParse(body).success, name).to.be.true
    }
  })
})

describe('share 1.0 bodies', () => {
  it('take what the specification shows', () => {
    expect(accepts('grant', grant)).to.be.true
    expect(accepts('grant', { ...grant, resource: { ...resource, root: RAW_ROOT } })).to.be.true
    expect(accepts('accept', { peer_ids: [PEER] })).to.be.true
    expect(accepts('decline', {})).to.be.true
    expect(accepts('revoke', { reason: 'mistake' })).to.be.true
    expect(accepts('replace', { resource, key: grant.key })).to.be.true
    expect(accepts('request', { wanted: 'degree', purpose: 'admission' })).to.be.true
  })

  it('drop members they do not know, whatever their names', () => {
    const hostile: unknown = JSON.parse(
      '{"wanted":"a","purpose":"b","__proto__":{"x":1},"constructor":1}'
    )
    const body = sharingBodies.request.parse(hostile)
    expect(Object.keys(body)).to.deep.equal(['wanted', 'purpose'])
    expect(isSharingMessage('constructor')).to.be.false
    expect(isSharingMessage('__proto__')).to.be.false
    expect(isSharingMessage('grant')).to.be.true
  })

  it('bound every text at its limit', () => {
    const longest = 'x'.repeat(SHARING_TEXT_CHARACTERS_MAX)
    expect(accepts('request', { wanted: longest, purpose: longest })).to.be.true
    expect(accepts('request', { wanted: `${longest}x`, purpose: 'p' })).to.be.false
    expect(accepts('request', { wanted: 'w', purpose: `${longest}x` })).to.be.false
    expect(accepts('request', { wanted: '', purpose: 'p' })).to.be.false
    expect(accepts('decline', { reason: `${longest}x` })).to.be.false
    expect(accepts('grant', named(SHARING_NAME_CHARACTERS_MAX))).to.be.true
    expect(accepts('grant', named(SHARING_NAME_CHARACTERS_MAX + 1))).to.be.false
  })

  it('take one to four PeerIds', () => {
    expect(accepts('accept', peers(0))).to.be.false
    expect(accepts('accept', peers(1))).to.be.true
    expect(accepts('accept', peers(SHARING_PEERS_MAX))).to.be.true
    expect(accepts('accept', peers(SHARING_PEERS_MAX + 1))).to.be.false
    expect(accepts('accept', { peer_ids: ['../../x'] })).to.be.false
  })

  it('refuse a key that is not 16 bytes in canonical base64url', () => {
    for (const key of [
      '',
      'AAECAwQFBgcICQoLDA0OD',
      'AAECAwQFBgcICQoLDA0ODx',
      'AAECAwQFBgcICQoLDA0ODw=='
    ])
      expect(accepts('grant', { ...grant, key }), key).to.be.false
  })

  it('refuse roots that are no CIDv1 of a sha2-256 dag-pb or raw block', () => {
    const roots = [
      '',
      'root',
      'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
      ROOT.toUpperCase(),
      // dag-cbor
      'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
      // identity multihash
      'bafkqaaa'
    ]
    for (const root of roots)
      expect(accepts('grant', { ...grant, resource: { ...resource, root } }), root).to.be.false
  })

  it('refuse sizes that cannot be', () => {
    expect(accepts('grant', sized(0, 1))).to.be.true
    expect(accepts('grant', sized(-1, 10))).to.be.false
    expect(accepts('grant', sized(10, 10))).to.be.false
    expect(accepts('grant', sized(1.5, 10))).to.be.false
    expect(accepts('grant', sized(1, 2 ** 53))).to.be.false
    expect(accepts('grant', sized('1', 10))).to.be.false
  })

  it('refuse other permissions, times and media types', () => {
    expect(accepts('grant', { ...grant, permission: 'write' })).to.be.false
    expect(accepts('grant', { ...grant, valid_until: 'tomorrow' })).to.be.false
    expect(accepts('grant', { ...grant, grant_id: '../x' })).to.be.false
    expect(
      accepts('grant', { ...grant, resource: { ...resource, media_type: 'text/html\r\nX: y' } })
    ).to.be.false
  })
})
