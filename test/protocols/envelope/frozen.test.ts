/**
 * Envelopes of our own and of didcomm-node, made once and kept with their keys (frozen.json): what could be
 * read then can be read for ever. The senders' DIDs hold their keys, so nothing else is needed.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { didOf, keyOf } from '../../../protocols/did/document.ts'
import type { PrivateKeyJwk } from '../../../protocols/did/multikey.ts'
import { resolveDidPeer } from '../../../protocols/did/peer.ts'
import { unpack } from '../../../protocols/envelope/unpack.ts'
import { utf8 } from './parties.ts'

interface Frozen {
  readonly text: string
  readonly parties: Readonly<
    Record<string, { alice: string; bob: string; bobKeys: Record<string, PrivateKeyJwk> }>
  >
  readonly vectors: readonly {
    readonly name: string
    readonly by: string
    readonly curve: string
    readonly layers: number
    readonly envelope: unknown
  }[]
}

const frozen: Frozen = JSON.parse(readFileSync(new URL('frozen.json', import.meta.url), 'utf8'))

describe('frozen envelopes', () => {
  it('are nineteen', () => expect(frozen.vectors).to.have.length(19))

  for (const { name, by, curve, layers, envelope } of frozen.vectors) {
    it(`reads ${name} by ${by} with ${curve}`, async () => {
      const party = frozen.parties[curve]
      if (party === undefined) throw new Error(`no party with ${curve}`)
      const { message, meta } = await unpack(utf8(envelope), {
        secrets: (kid) =>
          didOf(kid) === party.bob ? party.bobKeys[kid.slice(party.bob.length)] : undefined,
        resolveKey: async (kid, purpose) => keyOf(resolveDidPeer(didOf(kid)), kid, purpose)
      })
      expect(message.body).to.deep.equal({ content: frozen.text })
      expect(meta).to.include({
        layers,
        to: party.bob,
        authenticated: !name.startsWith('anoncrypt')
      })
      expect(message.from).to.equal(party.alice)
    })
  }
})
