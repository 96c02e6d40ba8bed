/**
 * A credential's life in three processes with three homes, over loopback, by the command line.
 *
 * 1. A university sets up its issuer, makes a kind of credential of its own out of one JSON file, publishes
 *    it, and knows Alice. Alice knows an employer.
 * 2. It issues Alice a marksheet, and later a second one. She accepts; her own check says valid; she prints
 *    a certificate.
 * 3. She shares it with the employer, by DIDComm as a copy and by link. What the employer gets, both ways,
 *    is valid; so is what is found inside the printed certificate. One changed character is invalid.
 * 4. The university rotates its key: valid still. It revokes the first marksheet: Alice hears why, and the
 *    employer's verdict is revoked.
 * 5. The university stops. The employer's agent, started anew, cannot say and names what is missing. Off-line it says
 *    nothing it does not know; Alice's agent says from her bundle what it knew, and as of when.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type {
  CredentialFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem,
  IssuedFacts,
  LinkFacts,
  Verification
} from '../../agent/agent.ts'
import { deriveLinkKeys, openCapability, parseLinkUrl } from '../../protocols/share-link.ts'
import { openHeader } from '../../protocols/sealed/age.ts'
import { native } from '../../protocols/sealed/native.ts'
import { removePadding } from '../../protocols/sealed/padding.ts'
import { openChunk } from '../../protocols/sealed/stream.ts'
import { SAMPLE_CLAIMS } from '../sample-claims.ts'
import { eventually, Party, type Ended } from './processes.ts'

const TYPE = 'sahyadri-marksheet'

/** What a browser makes of a share link. */
async function openLink(url: string): Promise<Uint8Array> {
  const { base, id, secret } = parseLinkUrl(url)
  const { auth, openKey } = await deriveLinkKeys({ id, secret })
  const answer = await fetch(`${base}/s/${id}/open`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ proof: Buffer.from(auth).toString('base64url') })
  })
  const { capability, ticket } = (await answer.json()) as { capability: string; ticket: string }
  const facts = openCapability(openKey, id, Buffer.from(capability, 'base64url'))
  const sealed = await fetch(`${base}/s/${id}/content?ticket=${ticket}`)
  const file = new Uint8Array(await sealed.arrayBuffer())
  const opened = await openHeader(file, { fileKey: Buffer.from(facts.fileKey, 'base64url') })
  return removePadding(
    openChunk(native.aead, opened.payloadKey, {
      index: 0,
      last: true,
      sealed: file.subarray(opened.payloadOffset)
    })
  )
}

/** Makes contacts of two parties, and waits until both know it. */
async function meet(inviter: Party, other: Party): Promise<void> {
  const { url } = await inviter.json<{ url: string }>('invite', '--name', other.name)
  await other.json('contact', 'add', url, '--name', inviter.name)
  for (const party of [inviter, other])
    await eventually(async () => {
      const contacts = await party.json<Array<{ state: string }>>('contact', 'list')
      return contacts.every(({ state }) => state === 'connected') || undefined
    }, `${party.name} is connected`)
}

const verdictOf = (ended: Ended): Verification => JSON.parse(ended.stdout) as Verification

describe('a credential in three processes', function () {
  this.timeout(240_000)
  let university: Party
  let alice: Party
  let employer: Party
  let host = ''
  let first: CredentialFacts
  let second: CredentialFacts
  let issued: IssuedFacts

  const allowed = (): string[] => ['--allowed-hosts', host]
  const employerSays = async (file: string, ...more: string[]): Promise<Verification> => {
    const ended = await employer.run('verify', file, ...more, '--json')
    const expected = { valid: 0, 'could-not-be-checked': 8 } as Partial<Record<string, number>>
    const verification = verdictOf(ended)
    expect(ended.code, ended.stderr).to.equal(expected[verification.result] ?? 7)
    return verification
  }

  before(async () => {
    university = await Party.create('University')
    alice = await Party.create('Alice')
    employer = await Party.create('Employer')
    for (const party of [university, alice, employer]) await party.init()
    const { public: address } = await university.up('--public', '127.0.0.1:0')
    host = new URL(String(address)).host
    await alice.up('--public', '127.0.0.1:0', ...allowed())
    await employer.up(...allowed())
  })

  after(async () => {
    for (const party of [university, alice, employer]) await party[Symbol.asyncDispose]()
  })

  /** Issues a marksheet to Alice, who accepts; how she keeps it. */
  async function issue(number: string): Promise<CredentialFacts> {
    const { id: _, ...claims } = SAMPLE_CLAIMS.get('academic-marksheet') ?? {}
    const data = join(university.folder, 'claims.json')
    await writeFile(data, JSON.stringify({ ...claims, documentNumber: number }))
    const kept = await alice.json<CredentialFacts[]>('credential', 'list')
    issued = await university.json('issue', '--type', TYPE, '--to', 'Alice', '--data', data)
    const offer = await eventually(async () => {
      const items = await alice.json<InboxItem[]>('inbox', 'list')
      return items.find(({ kind, state }) => kind === 'credential-offer' && state === 'offered')
    }, 'Alice has an offer')
    await alice.json('inbox', 'accept', offer.id)
    return eventually(async () => {
      const all = await alice.json<CredentialFacts[]>('credential', 'list')
      return all.length > kept.length ? all[0] : undefined
    }, 'Alice keeps the credential')
  }

  it('1. sets up an issuer with a kind of credential that is one JSON file', async () => {
    const made = await university.json<{ did: string }>(
      ...(['issuer', 'init', '--name', 'Sahyadri University', '--name', 'hi=सह्याद्री'] as const),
      ...(['--category', 'education', '--domain', host] as const)
    )
    expect(made.did).to.equal(`did:web:${host.replace(':', '%3A')}`)
    const { type } = await university.json<{ type: object }>(
      ...(['issuer', 'type', 'show', 'academic-marksheet'] as const)
    )
    const file = join(university.folder, 'type.json')
    await writeFile(file, JSON.stringify({ ...type, id: TYPE }))
    await university.json('issuer', 'type', 'add', file)
    await university.json('issuer', 'type', 'publish', TYPE)
    await meet(university, alice)
    await meet(alice, employer)
  })

  it('2. issues Alice two marksheets, which she accepts, checks and prints', async () => {
    first = await issue('MS-1')
    const revocable = issued
    second = await issue('MS-2')
    issued = revocable
    expect(first).to.include({ type: TYPE, state: 'current' })
    const check = await alice.run('credential', 'verify', first.id)
    expect(check.code, check.stderr + check.stdout).to.equal(0)
    expect(check.stdout).to.match(/^VALID$/m)
    const pdf = join(alice.folder, 'certificate.pdf')
    await alice.json('credential', 'certificate', first.id, '-o', pdf, '--second', 'hi')
    expect((await readFile(pdf)).subarray(0, 5).toString()).to.equal('%PDF-')
    expect((await employerSays(pdf)).carrier).to.equal('pdf')
    expect((await employerSays(pdf)).result).to.equal('valid')
  })

  it('3. is valid at the employer, by DIDComm and by link, and invalid with a character changed', async () => {
    const share = ['share', 'create', first.id] as const
    const purpose = ['--purpose', 'an application'] as const
    await alice.json(...share, '--to', 'Employer', '--permission', 'copy', ...purpose)
    const item = await eventually(
      async () => (await employer.json<InboxItem[]>('inbox', 'list'))[0],
      'the employer has the offer'
    )
    const grant = await employer.json<GrantFacts>('inbox', 'accept', item.id)
    const copy = join(employer.folder, 'copy.json')
    await employer.json('get', String(grant.document.id), '-o', copy)
    expect(await employerSays(copy)).to.include({ result: 'valid' })

    const link = await alice.json<LinkFacts & { url: string }>(...share, '--link')
    const downloaded = join(employer.folder, 'downloaded.json')
    await writeFile(downloaded, await openLink(link.url))
    expect(await employerSays(downloaded)).to.include({ result: 'valid' })
    expect((await readFile(downloaded)).equals(await readFile(copy))).to.equal(true)

    const changed = join(employer.folder, 'changed.json')
    await writeFile(changed, (await readFile(copy, 'utf8')).replace('Asha', 'Usha'))
    const [verdict] = (await employerSays(changed)).verdicts
    expect(verdict?.result).to.equal('invalid')
    expect(verdict?.checks.find(({ name }) => name === 'proof')?.code).to.equal('proof-wrong')
  })

  it('4. stays valid when the key is rotated, and is revoked when the university says so', async () => {
    await university.json('issuer', 'rotate-key')
    const copy = join(employer.folder, 'copy.json')
    await employer.stop()
    await employer.up(...allowed())
    expect(await employerSays(copy)).to.include({ result: 'valid' })
    const reason = 'issued in error'
    await university.json('issuer', 'credential', 'revoke', issued.id, '--reason', reason)
    await eventually(async () => {
      const facts = await alice.json<CredentialFacts>('credential', 'show', first.id)
      return facts.state === 'revoked' && facts.reason === reason ? true : undefined
    }, 'Alice hears of it')
    // What was looked up is kept for five minutes, in memory.
    await employer.stop()
    await employer.up(...allowed())
    const [verdict] = (await employerSays(copy)).verdicts
    expect(verdict?.result).to.equal('revoked')
    expect(verdict?.checks.find(({ name }) => name === 'status')?.code).to.equal('revoked')
    const told = await employer.run('verify', copy)
    expect(told.stdout).to.match(/^REVOKED$/m)
  })

  it('5. cannot be checked without the university, but off-line from what is known, with its age', async () => {
    const other = join(employer.folder, 'second.json')
    const document = await alice.json<DocumentFacts>('show', second.id)
    await alice.json('get', document.id, '-o', other)
    await university.stop()
    await employer.stop()
    await employer.up(...allowed())
    const [verdict] = (await employerSays(other)).verdicts
    expect(verdict?.result).to.equal('could-not-be-checked')
    const open = verdict?.checks.filter(({ outcome }) => outcome === 'not-checked') ?? []
    expect(open.map(({ name }) => name)).to.include('issuer-key')
    expect(open.map(({ reason }) => reason).join(' ')).to.include('localhost')
    expect(await employerSays(other, '--offline')).to.include({ result: 'could-not-be-checked' })

    const offline = await alice.run('credential', 'verify', second.id, '--offline', '--json')
    expect(offline.code, offline.stderr + offline.stdout).to.equal(0)
    const [known] = verdictOf(offline).verdicts
    expect(known).to.include({ result: 'valid', offline: true })
    expect(Date.parse(String(known?.knownAsOf))).to.be.lessThan(Date.now())
  })
})
