/**
 * A document from one agent to another, in two processes with two homes, over loopback.
 *
 * 1. Alice adds a 25 MB PDF.
 * 2. Bob invites her; she adds him as a contact.
 * 3. Alice grants Bob the document. He finds it in his inbox, accepts, and gets it: the bytes are equal.
 * 4. Alice's activity says who fetched it and when.
 * 5. A block that Bob's agent cached is damaged on his disk; he reads the document all the same.
 *    So does he while Alice's locker is locked; once it is open again her activity says so.
 * 6. Alice revokes. Bob's next fetch fails and says why; the old blocks are gone from Alice's disk.
 * 7. Bob's agent stops. Alice grants him a copy; the grant waits in her outbox. Bob's agent comes back on
 *    another port, the grant arrives, he accepts, and the copy is his: it opens with Alice's agent stopped.
 * 8. A byte of Bob's copy is damaged on disk; with Alice back, he reads it whole.
 * 9. Alice grants another copy and stops. Bob accepts; the copy comes by itself when her agent is back.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type {
  ActivityEntry,
  ContactFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem,
  OutboxItem
} from '../../agent/agent.ts'
import { eventually, Party } from './processes.ts'

const PDF_BYTES = 25_000_000

/** Every block file of a home, by path. */
async function blockFiles(party: Party): Promise<string[]> {
  const names = await readdir(join(party.home, 'blocks'), { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile() && !/[\\/](tmp|damaged)$/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Flips one bit in the middle of the largest block file that is not in `except`. */
async function damageLargestBlock(
  party: Party,
  except: ReadonlySet<string> = new Set()
): Promise<string> {
  const files = (await blockFiles(party)).filter((file) => !except.has(file))
  const sizes = await Promise.all(
    files.map(async (file) => ({ file, size: (await stat(file)).size }))
  )
  const largest = sizes.toSorted((a, b) => b.size - a.size)[0]
  if (largest === undefined) throw new Error(`${party.name} has no block`)
  const bytes = await readFile(largest.file)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(largest.file, bytes)
  return largest.file
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('a document handed over between two processes', function () {
  this.timeout(180_000)
  let alice: Party
  let bob: Party
  let document: DocumentFacts
  let grant: GrantFacts
  const pdf = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(PDF_BYTES - 9)])

  before(async () => {
    ;[alice, bob] = await Promise.all([Party.create('Alice'), Party.create('Bob')])
    await Promise.all([alice.init(), bob.init()])
    await Promise.all([alice.up(), bob.up()])
    await writeFile(join(alice.folder, 'degree.pdf'), pdf)
  })

  after(async () => {
    await alice?.[Symbol.asyncDispose]()
    await bob?.[Symbol.asyncDispose]()
  })

  const inboxItem = (state: string, not?: string): Promise<InboxItem> =>
    eventually(async () => {
      const items = await bob.json<InboxItem[]>('inbox', 'list')
      return items.find((item) => item.state === state && item.id !== not)
    }, `an inbox item that is ${state}`)

  it('1. stores a 25 MB PDF', async () => {
    document = await alice.json<DocumentFacts>('add', 'degree.pdf')
    expect(document.mediaType).to.equal('application/pdf')
    expect(document.sizeBytes).to.equal(PDF_BYTES)
  })

  it('2. makes two parties contacts', async () => {
    const { url } = await bob.json<{ url: string }>('invite')
    const added = await alice.json<ContactFacts>('contact', 'add', url, '--name', 'Bob')
    expect(added.did).to.match(/^did:peer:/)
    await eventually(async () => {
      const contacts = await bob.json<ContactFacts[]>('contact', 'list')
      return contacts.find((contact) => contact.name === 'Alice' && contact.state === 'connected')
    }, 'Alice among the contacts of Bob')
  })

  it('3. hands the document over: the bytes are equal', async () => {
    const args = ['--to', 'Bob', '--purpose', 'application 4711', '--expires', '7d']
    grant = await alice.json<GrantFacts>('share', 'create', document.id, ...args)
    const item = await inboxItem('granted')
    expect(item).to.include({ kind: 'grant', from: 'Alice', subject: 'degree.pdf' })
    await bob.json('inbox', 'accept', item.id)
    const got = await bob.run('get', item.id, '-o', 'got.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'got.pdf')))).to.equal(digest(pdf))
  })

  it('4. tells Alice who fetched it and when', async () => {
    const fetched = await eventually(async () => {
      const entries = await alice.json<ActivityEntry[]>('activity')
      return entries.find((entry) => entry.action === 'grant-fetched')
    }, 'a fetch in the activity of Alice')
    expect(fetched.actorName).to.equal('Bob')
    expect(fetched.document?.id).to.equal(document.id)
    expect(Math.abs(Date.now() - Date.parse(fetched.time))).to.be.lessThan(180_000)
  })

  it('5. notices a damaged cached block and fetches it again', async () => {
    await damageLargestBlock(bob)
    const got = await bob.run('get', grant.id, '-o', 'again.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'again.pdf')))).to.equal(digest(pdf))
  })

  it('5a. is served while the locker is locked, and told of it once it is open', async () => {
    await alice.json('lock')
    const got = await bob.run('get', grant.id, '-o', 'locked.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'locked.pdf')))).to.equal(digest(pdf))
    await alice.json('unlock', '--passphrase-file', alice.passphraseFile)
    const noted = await eventually(async () => {
      const entries = await alice.json<ActivityEntry[]>('activity')
      return entries.find(({ details }) => details?.['whileSealed'] === true)
    }, 'the fetch in the activity of Alice')
    expect(noted).to.include({ action: 'grant-fetched', actorName: 'Bob', grant: grant.id })
  })

  it('6. refuses after revocation and says why; the old blocks are gone', async () => {
    const before = new Set(await blockFiles(alice))
    await alice.json('share', 'revoke', grant.id)
    const after = await eventually(async () => {
      const files = await blockFiles(alice)
      return files.some((file) => before.has(file)) ? undefined : files
    }, 'no old block left')
    expect(after.length).to.equal(before.size)
    await inboxItem('revoked')
    const got = await bob.run('get', grant.id, '-o', 'late.pdf')
    expect(got.code).to.not.equal(0)
    expect(got.stderr).to.match(/revoked/)
    expect(await blockFiles(bob)).to.be.empty
    const again = await alice.run('get', document.id, '-o', 'own.pdf')
    expect(again.code, again.stderr).to.equal(0)
    expect(digest(await readFile(join(alice.folder, 'own.pdf')))).to.equal(digest(pdf))
  })

  it('7. keeps a grant for someone who is away, and a copy is theirs', async () => {
    await bob.stop()
    const args = ['--to', 'Bob', '--purpose', 'for your files', '--permission', 'copy']
    const copy = await alice.json<GrantFacts>('share', 'create', document.id, ...args)
    const waiting = await alice.json<OutboxItem[]>('outbox')
    expect(
      waiting.some((item) => (item.thid ?? item.id) === copy.id && item.state !== 'sent')
    ).to.equal(true)
    await bob.up()
    const item = await inboxItem('granted')
    expect(item.id).to.equal(copy.id)
    const accepted = await bob.json<GrantFacts>('inbox', 'accept', item.id)
    expect(accepted.document.id).to.be.a('string')
    await alice.stop()
    const got = await bob.run('get', accepted.document.id ?? '', '-o', 'copy.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'copy.pdf')))).to.equal(digest(pdf))
    grant = accepted
  })

  it('8. heals a damaged copy from the party that gave it', async () => {
    await alice.up()
    await damageLargestBlock(bob)
    const got = await bob.run('get', grant.document.id ?? '', '-o', 'healed.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'healed.pdf')))).to.equal(digest(pdf))
  })

  it('9. fetches a copy that was accepted while Alice was away', async () => {
    const args = ['--to', 'Bob', '--purpose', 'another one', '--permission', 'copy']
    const { id } = await alice.json<GrantFacts>('share', 'create', document.id, ...args)
    await eventually(async () => {
      const items = await bob.json<InboxItem[]>('inbox', 'list')
      return items.find((item) => item.id === id && item.state === 'granted')
    }, 'the grant in the inbox of Bob')
    await alice.stop()
    const accepted = await bob.run('inbox', 'accept', id)
    expect(accepted.code, accepted.stdout).to.equal(8)
    expect(accepted.stderr).to.match(/accepted; the copy follows by itself/)
    await alice.up()
    const copy = await eventually(async () => {
      const documents = await bob.json<DocumentFacts[]>('list')
      return documents.find(({ source }) => source?.grant === id)
    }, 'the copy at Bob')
    const got = await bob.run('get', copy.id, '-o', 'second.pdf')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(bob.folder, 'second.pdf')))).to.equal(digest(pdf))
  })

  it('10. stops within 10 s on SIGTERM', async () => {
    expect(await alice.stop()).to.be.lessThan(10_000)
    expect(await bob.stop()).to.be.lessThan(10_000)
  })
})
