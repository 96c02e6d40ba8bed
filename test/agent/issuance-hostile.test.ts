/** What the other side of a thread may try, and what becomes of it. */
import { expect } from 'chai'
import { addJcsProof } from '../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto, nativeSigner } from '../../protocols/credential/native.ts'
import { publicJwk } from '../../protocols/did/multikey.ts'
import { didKeyOf } from '../../protocols/did/key.ts'
import { signHolderBinding, verifyHolderBinding } from '../../protocols/holder-binding.ts'
import {
  HOLDER_BINDING_FORMAT,
  issuanceAttachment,
  LD_PROOF_FORMAT,
  SD_JWT_FORMAT
} from '../../protocols/issuance-attachments.ts'
import { issuanceMessageType } from '../../protocols/issuance.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { KEEP_RETRIES_MS } from '../../agent/issuance-holder.ts'
import { MARKS, openIssuanceCast, TYPE, type IssuanceCast } from './issuance-cast.ts'

const SEED = new Uint8Array(32).fill(7)
const STRANGER = didKeyOf(publicJwk('Ed25519', Uint8Array.from(ed25519.getPublicKey(SEED))))
const stranger = nativeSigner(SEED, `${STRANGER}#${STRANGER.slice('did:key:'.length)}`)

describe('agent/issuance, against hostile parties', () => {
  let cast: IssuanceCast
  let university: IssuanceCast['university']
  let asha: IssuanceCast['asha']
  let mallory: IssuanceCast['mallory']
  beforeEach(async () => {
    cast = await openIssuanceCast()
    ;({ university, asha, mallory } = cast)
  })
  afterEach(async () => {
    await cast.lockers.close()
  })

  const issuer = (): string => university.locker.issuer.facts()?.did ?? ''
  const now = (): Date => cast.lockers.clock.now()

  /** The university offers Mallory something; she answers with what `binding` makes of the offer's question. */
  async function requested(
    binding: (question: { challenge: string; domain: string }) => JsonObject | undefined
  ): Promise<{ id: string; state: string; reason: string | undefined }> {
    const { issuance } = university.locker
    const { id } = await issuance.offer({ type: TYPE, claims: MARKS, to: 'Mallory' })
    await cast.lockers.settled()
    const [thread] = mallory.locker.issuance.list()
    const question = thread?.offer?.binding
    if (thread === undefined || question === undefined) throw new Error('nothing was asked')
    const bound = binding(question)
    await mallory.tell(university, {
      type: issuanceMessageType('request-credential'),
      thid: thread.thid,
      body: {},
      attachments: bound === undefined ? [] : [issuanceAttachment(HOLDER_BINDING_FORMAT, bound)]
    })
    await cast.lockers.settled()
    const issued = issuance.issuedCredential(id)
    return { id, state: issued.state, reason: issuance.get(thread.thid).reason }
  }

  const signed = (
    who: 'asha' | 'mallory',
    question: { challenge: string; domain: string }
  ): JsonObject =>
    signHolderBinding(question, {
      signer: { asha, mallory }[who].locker.identity.holderSigner(),
      created: now(),
      crypto: nativeProofCrypto
    })

  /** Asha accepts, and what comes back is what `what` makes of the credential that should have come. */
  async function received(what: (genuine: JsonObject) => JsonObject): Promise<string | undefined> {
    const issued = await cast.offered()
    const thid = cast.threadOf(issued)
    const { credential } = await university.locker.issuance.issue({
      type: TYPE,
      claims: MARKS,
      subject: asha.locker.identity.holderDid
    })
    // The university's own agent does not see the request: what it would answer is not what comes.
    const { receiver } = university.node
    university.node.receiver = { ...receiver, receive: async () => {}, authorisePull: absent }
    await asha.locker.issuance.accept(thid)
    await cast.lockers.settled()
    university.node.receiver = receiver
    const genuine = JSON.parse(credential) as JsonObject
    await university.tell(asha, {
      type: issuanceMessageType('issue-credential'),
      thid,
      body: {},
      attachments: [issuanceAttachment(LD_PROOF_FORMAT, what(genuine))]
    })
    await cast.lockers.settled()
    const thread = asha.locker.issuance.get(thid)
    if (thread.state === 'done') return undefined
    expect(thread).to.deep.include({ state: 'abandoned', endedByThem: false })
    expect(cast.kept()).to.be.empty
    // The issuer is told which check it was.
    expect(university.locker.issuance.get(thid).reason).to.equal(thread.reason)
    expect(university.locker.issuance.issuedCredential(issued.id).state).to.equal('declined')
    return thread.reason
  }

  const resigned = (
    genuine: JsonObject,
    changes: JsonObject,
    signer = signerOfUniversity()
  ): JsonObject => {
    const { proof: _proof, ...unsigned } = genuine
    return addJcsProof({ ...unsigned, ...changes }, { signer, created: now() }, nativeProofCrypto)
  }
  const signerOfUniversity = (): ReturnType<typeof university.locker.issuer.signer> =>
    university.locker.issuer.signer()
  describe('a holder who claims the DID of another', () => {
    const ATTEMPTS: ReadonlyArray<
      readonly [
        name: string,
        binding: (question: { challenge: string; domain: string }) => JsonObject | undefined,
        reason: RegExp
      ]
    > = [
      ['without a proof', () => undefined, /there is none/],
      [
        'with a proof of her own under that DID',
        (question) => ({
          ...signed('mallory', question),
          holder: asha.locker.identity.holderDid
        }),
        /not a key of the holder|is not what was signed|does not fit/
      ],
      [
        'with a proof that was made for another offer',
        (question) => signed('asha', { ...question, challenge: 'another-challenge-1234' }),
        /another offer/
      ],
      [
        'with a proof that was made for another issuer',
        (question) => signed('asha', { ...question, domain: 'did:web:elsewhere.example' }),
        /another issuer/
      ],
      [
        'with a proof for another purpose',
        (question) =>
          addJcsProof(
            { holder: mallory.locker.identity.holderDid, type: 'HolderBinding' },
            { signer: mallory.locker.identity.holderSigner(), created: now(), ...question },
            nativeProofCrypto
          ),
        /a proof for assertionMethod/
      ]
    ]

    for (const [name, binding, reason] of ATTEMPTS)
      it(`gets nothing signed ${name}`, async () => {
        const answer = await requested(binding)
        expect(answer.state).to.equal('withdrawn')
        expect(answer.reason).to.match(reason)
        expect(university.locker.issuance.issuedCredential(answer.id).status).to.equal('unsigned')
        expect(mallory.locker.issuance.list()[0]).to.deep.include({
          state: 'abandoned',
          endedByThem: true
        })
      })

    it('gets nothing signed for a message that breaks its schema', async () => {
      const answer = await requested((question) =>
        addJcsProof(
          signed('mallory', question),
          { signer: stranger, created: now(), purpose: 'authentication', ...question },
          nativeProofCrypto
        )
      )
      expect(answer.state).to.equal('offered')
      expect(mallory.locker.issuance.list()[0]).to.deep.include({
        state: 'abandoned',
        reason: 'elocker/holder-binding@v1.0 in request-credential breaks its schema'
      })
    })

    it('is who the record is about, when the record says who', async () => {
      const claims = { ...MARKS, id: asha.locker.identity.holderDid }
      const { id } = await university.locker.issuance.offer({ type: TYPE, claims, to: 'Mallory' })
      await cast.lockers.settled()
      await mallory.locker.issuance.accept(mallory.locker.issuance.list()[0]?.thid ?? '')
      await cast.lockers.settled()
      expect(university.locker.issuance.issuedCredential(id).status).to.equal('unsigned')
      expect((await cast.delivered({ claims })).status).to.equal('valid')
    })

    it('binds did:key and did:peer alone, and looks nothing up', async () => {
      const question = { challenge: 'a-challenge-of-16', domain: issuer() }
      const proof = signed('asha', question)['proof'] as JsonObject
      for (const holder of ['did:web:asha.example', 'did:jwk:e30']) {
        const binding = { holder, type: 'HolderBinding' as const, proof }
        const bound = { ...binding, proof: { ...proof, verificationMethod: `${holder}#key-1` } }
        const outcome = await verifyHolderBinding(bound, question, nativeProofCrypto)
        expect(outcome).to.deep.include({ ok: false })
      }
    })
  })

  describe('an issuer who sends something else than was offered', () => {
    it('has what was offered kept', async () => {
      expect(await received((genuine) => genuine)).to.equal(undefined)
      expect(cast.kept()).to.have.length(1)
    })

    const WRONGS: ReadonlyArray<
      readonly [name: string, what: (genuine: JsonObject) => JsonObject, reason: RegExp]
    > = [
      [
        'a changed character',
        (genuine) => ({ ...genuine, credentialSubject: { ...subjectOf(genuine), name: 'Aska' } }),
        /^proof: /
      ],
      ['no proof', ({ proof: _proof, ...rest }) => rest, /^proof: /],
      ['the key of another', (genuine) => resigned(genuine, {}, stranger), /^(proof|issuer-key): /],
      [
        'another issuer, honestly signed',
        (genuine) => resigned(genuine, { issuer: STRANGER, credentialStatus: [] }, stranger),
        /^(issuer|structure|status): /
      ],
      [
        'another subject',
        (genuine) =>
          resigned(genuine, { credentialSubject: { ...subjectOf(genuine), id: STRANGER } }),
        /^subject: /
      ],
      [
        'no subject',
        (genuine) => {
          const { id: _id, ...rest } = subjectOf(genuine)
          return resigned(genuine, { credentialSubject: rest })
        },
        /^subject: /
      ],
      [
        'other claims, signed',
        (genuine) =>
          resigned(genuine, { credentialSubject: { ...subjectOf(genuine), percentage: 35 } }),
        /^claims: It does not say what was offered: percentage\./
      ],
      [
        'another kind',
        (genuine) => resigned(genuine, { type: ['VerifiableCredential', 'LandRecord'] }),
        /^type: /
      ],
      ['no id', ({ id: _id, ...genuine }) => resigned(genuine, {}), /^structure: /],
      [
        'one that has expired',
        (genuine) =>
          resigned(genuine, {
            validUntil: '2026-01-01T00:00:00Z',
            validFrom: '2025-01-01T00:00:00Z'
          }),
        /^validity: /
      ],
      ['no credential at all', () => ({ hello: 'world' }), /^structure: /]
    ]

    for (const [name, what, reason] of WRONGS)
      it(`is refused ${name}`, async () => {
        expect(await received(what)).to.match(reason)
      })

    it('is refused a credential under the name of an institution whose keys it brings along', async () => {
      const did = 'did:web:great-university.example'
      const method = `${did}#key-1`
      const forged = {
        '@context': ['https://www.w3.org/ns/did/v1'],
        id: did,
        verificationMethod: [
          {
            id: method,
            type: 'Multikey',
            controller: did,
            publicKeyMultibase: STRANGER.slice('did:key:'.length)
          }
        ],
        assertionMethod: [method]
      }
      const bundle = {
        v: 1,
        madeAt: now().toISOString(),
        issuerDocument: forged,
        schemas: [],
        statusLists: []
      }
      const offered = 'offer-of-mallory-1'
      const preview = { name: 'Asha' }
      mallory.node.receiver = {
        ...mallory.node.receiver,
        receive: async () => {},
        authorisePull: absent
      }
      await says(mallory, asha, 'offer-credential', offered, [
        issuanceAttachment('elocker/credential-offer@v1.0', {
          issuer: did,
          type: TYPE,
          version: '1.0.0',
          types: ['AcademicMarksheet'],
          preview,
          formats: ['vcdm-2.0']
        })
      ])
      await asha.locker.issuance.accept(offered)
      await cast.lockers.settled()
      const credential = addJcsProof(
        {
          '@context': ['https://www.w3.org/ns/credentials/v2'],
          id: 'urn:uuid:5b0c0a0e-8d6c-4d29-9c1b-6d5a2f0c7b11',
          type: ['VerifiableCredential', 'AcademicMarksheet'],
          issuer: did,
          credentialSubject: { ...preview, id: asha.locker.identity.holderDid }
        },
        { signer: nativeSigner(SEED, method), created: now() },
        nativeProofCrypto
      )
      await says(mallory, asha, 'issue-credential', offered, [
        issuanceAttachment(LD_PROOF_FORMAT, credential),
        issuanceAttachment('elocker/verification-bundle@v1.0', bundle)
      ])
      // The DID cannot be resolved: it is neither kept nor refused, and tried again.
      expect(asha.locker.issuance.get(offered).state).to.equal('issued')
      expect(cast.kept()).to.be.empty
      cast.lockers.documents.set(did, {
        '@context': ['https://www.w3.org/ns/did/v1'],
        id: did,
        verificationMethod: [],
        assertionMethod: []
      })
      await cast.lockers.clock.advance(KEEP_RETRIES_MS[0] ?? 0)
      await cast.lockers.settled()
      expect(asha.locker.issuance.get(offered)).to.deep.include({ state: 'abandoned' })
      expect(asha.locker.issuance.get(offered).reason).to.match(/^issuer-key: |^proof: /)
      expect(cast.kept()).to.be.empty
    })

    it('is refused an SD-JWT VC that is bound to another key', async () => {
      const issued = await cast.offered({ format: 'sd-jwt-vc' })
      const thid = cast.threadOf(issued)
      const { credential } = await university.locker.issuance.issue({
        type: TYPE,
        claims: MARKS,
        format: 'sd-jwt-vc',
        subject: asha.locker.identity.holderDid
      })
      const { receiver } = university.node
      university.node.receiver = { ...receiver, receive: async () => {}, authorisePull: absent }
      await asha.locker.issuance.accept(thid)
      await cast.lockers.settled()
      university.node.receiver = receiver
      await university.tell(asha, {
        type: issuanceMessageType('issue-credential'),
        thid,
        body: {},
        attachments: [issuanceAttachment(SD_JWT_FORMAT, credential)]
      })
      await cast.lockers.settled()
      expect(asha.locker.issuance.get(thid).reason).to.match(/^subject: It is bound to another key/)
    })
  })

  it('gives nobody a say on the thread of another', async () => {
    const issued = await cast.offered()
    const thid = cast.threadOf(issued)
    for (const [to, name] of [
      [university, 'request-credential'],
      [asha, 'issue-credential']
    ] as const) {
      const item = await mallory.tell(to, {
        type: issuanceMessageType(name),
        thid,
        body: {},
        attachments:
          name === 'issue-credential' ? [issuanceAttachment(LD_PROOF_FORMAT, { a: 1 })] : []
      })
      expect(item.lastError, name).to.match(/^e\.p\.msg\.unexpected/)
    }
    await mallory.tell(university, {
      type: 'problem-report',
      thid,
      body: { code: 'e.p.req.cancelled', comment: 'no' }
    })
    expect(university.locker.issuance.get(thid).state).to.equal('offered')
    expect(asha.locker.issuance.get(thid).state).to.equal('offered')
  })

  it('gives one credential for a request that comes twice', async () => {
    const issued = await cast.delivered()
    const thid = cast.threadOf(issued)
    const text = university.locker.issuance.signedText(issued.id)
    const envelopes = cast.lockers.network.passed.filter(({ from }) => from === 'Asha')
    for (const { envelope } of envelopes)
      await university.node.receiver?.receive(envelope, { transport: 'libp2p', peer: 'again' })
    await cast.lockers.settled()
    const again = await asha.tell(university, {
      type: issuanceMessageType('request-credential'),
      thid,
      body: {}
    })
    expect(again.lastError).to.match(/^e\.p\.msg\.unexpected/)
    expect(university.locker.issuance.signedText(issued.id)).to.equal(text)
    expect(university.locker.issuance.issued()).to.have.length(1)
    expect(cast.kept()).to.have.length(1)
  })

  /** Sends without waiting for an answer: whoever hears nothing is told nothing. */
  async function says(
    from: IssuanceCast['asha'],
    to: IssuanceCast['asha'],
    name: Parameters<typeof issuanceMessageType>[0],
    thid: string,
    attachments: ReturnType<typeof issuanceAttachment>[]
  ): Promise<void> {
    const { records, outbox, contacts } = from.locker
    await records.change((batch) =>
      outbox.enqueue(batch, {
        to: contacts.get(to.name).did,
        type: issuanceMessageType(name),
        body: {},
        attachments,
        ...(name === 'offer-credential' ? { id: thid } : { thid })
      })
    )
    await cast.lockers.settled()
  }
})

function subjectOf(genuine: JsonObject): JsonObject {
  return genuine['credentialSubject'] as JsonObject
}

const absent = async (): Promise<{ ok: false; problem: string; comment: string }> => ({
  ok: false,
  problem: 'e.p.pull.grant-unknown',
  comment: 'not here'
})
