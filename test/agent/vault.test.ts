/** The vault with scrypt's work factor at 10 (the default of 18 is held by a test of its own). */
import { decrypt } from '../../protocols/sealed/age.ts'
import { parseHeader } from '../../protocols/sealed/header.ts'
import { hybridIdentity, scryptIdentity } from '../../protocols/sealed/recipients.ts'
import { LockerError, type LockerErrorCode } from '../../agent/errors.ts'
import { deriveKey } from '../../agent/keys.ts'
import { openVault, type RecoveryKit, type Secret, type Vault } from '../../agent/vault.ts'
import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import { MemoryFiles, RecordingLogger, secureRandom } from './faults.ts'
import { failure } from './record-home.ts'

const PASSPHRASE = 'correct horse battery staple'
const OTHER = 'winter snow over the hills'
const passphrase = (text: string): Secret => ({ kind: 'passphrase', passphrase: text })
const words = (kit: RecoveryKit): Secret => ({ kind: 'words', words: kit.words })

/** A vault folder, and what it takes to open it again after a restart. */
class Folder {
  files = new MemoryFiles()
  clock = new FakeClock()
  logger = new RecordingLogger()

  open(scryptWorkFactor = 10): Promise<Vault> {
    const { files, clock, logger } = this
    return openVault({ files, clock, logger, random: secureRandom, scryptWorkFactor })
  }

  slot(kind: Secret['kind']): string {
    const name = [...this.files.files.keys()].find((file) => file.startsWith(`slot-${kind}-`))
    if (name === undefined) throw new Error(`no ${kind} slot`)
    return name
  }

  bytes(name: string): Uint8Array<ArrayBuffer> {
    const bytes = this.files.files.get(name)
    if (bytes === undefined) throw new Error(`no file ${name}`)
    return bytes
  }
}

async function created(folder = new Folder()): Promise<{
  folder: Folder
  vault: Vault
  kit: RecoveryKit
  keyFile: string
  rootKey: Buffer
}> {
  const vault = await folder.open()
  const made = await vault.create({ name: 'Alice', passphrase: PASSPHRASE, keyFile: true })
  const { kit, keyFile = '' } = made
  // A copy, for the vault zeros its own.
  return { folder, vault, kit, keyFile, rootKey: Buffer.from(made.rootKey) }
}

async function refuses(work: Promise<unknown>, code: LockerErrorCode): Promise<LockerError> {
  const error = await failure(work)
  expect(error.code).to.equal(code)
  return error
}

describe('vault', () => {
  it('goes from new to open, to sealed, and to open again', async () => {
    const { folder, vault, rootKey } = await created()
    expect(vault.state).to.equal('open')
    vault.seal()
    expect(vault.state).to.equal('sealed')
    const restarted = await folder.open()
    expect(restarted.state).to.equal('sealed')
    const opening = restarted.open(passphrase(PASSPHRASE))
    expect(restarted.state).to.equal('opening')
    expect(rootKey.equals(await opening)).to.equal(true)
    expect(restarted.state).to.equal('open')
  })

  it('opens with the passphrase, the words and the key file, and always the same root key', async () => {
    const { folder, kit, keyFile, rootKey } = await created()
    const secrets: Secret[] = [
      passphrase(PASSPHRASE),
      words(kit),
      { kind: 'key-file', text: keyFile }
    ]
    for (const secret of secrets)
      expect(rootKey.equals(await (await folder.open()).open(secret)), secret.kind).to.equal(true)
  })

  it('takes a passphrase and words in every form a keyboard gives them', async () => {
    const folder = new Folder()
    const vault = await folder.open()
    const { kit } = await vault.create({ name: 'Zoë', passphrase: 'Ångström über alle Berge' })
    await vault.open(passphrase('Ångström über alle Berge'.normalize('NFD')))
    await vault.open({ kind: 'words', words: kit.words.map((word) => ` ${word.toUpperCase()} `) })
  })

  it('zeros the root key when it is sealed', async () => {
    const { vault } = await created()
    const rootKey = await vault.open(passphrase(PASSPHRASE))
    expect(rootKey.some((byte) => byte !== 0)).to.equal(true)
    vault.seal()
    expect(rootKey.every((byte) => byte === 0)).to.equal(true)
  })

  it('stays sealed when it is sealed while it opens', async () => {
    const { folder } = await created()
    const vault = await folder.open()
    const opening = vault.open(passphrase(PASSPHRASE))
    vault.seal()
    await refuses(opening, 'operation-cancelled')
    expect(vault.state).to.equal('sealed')
  })

  it('creates no second locker over the first', async () => {
    const { folder, rootKey } = await created()
    const other = await folder.open()
    await refuses(other.create({ name: 'Eve', passphrase: OTHER }), 'vault-exists')
    expect(rootKey.equals(await other.open(passphrase(PASSPHRASE)))).to.equal(true)
  })

  it('creates one locker when two are asked for at once', async () => {
    const vault = await new Folder().open()
    const results = await Promise.allSettled([
      vault.create({ name: 'Alice', passphrase: PASSPHRASE }),
      vault.create({ name: 'Alice', passphrase: OTHER })
    ])
    expect(results.map(({ status }) => status)).to.have.members(['fulfilled', 'rejected'])
    await vault.open(passphrase(PASSPHRASE))
  })

  it('has no locker to open when there is none', async () => {
    const vault = await new Folder().open()
    expect(vault.state).to.equal('new')
    await refuses(vault.open(passphrase(PASSPHRASE)), 'vault-absent')
    expect(vault.state).to.equal('new')
  })

  it('leaves nothing behind when a write of the creation fails, whichever it is', async () => {
    for (let failing = 1; ; failing++) {
      const folder = new Folder()
      let writes = 0
      folder.files.writeFails = () =>
        ++writes === failing ? new LockerError('storage-full', 'full') : undefined
      const vault = await folder.open()
      const making = vault.create({ name: 'Alice', passphrase: PASSPHRASE })
      if (failing > 7) {
        await making
        expect(writes).to.equal(7)
        return
      }
      await refuses(making, 'storage-full')
      expect(vault.state).to.equal('new')
      await vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    }
  })

  it('leaves a locker the passphrase opens when the machine stops while it is created', async () => {
    for (let stopping = 3; stopping <= 7; stopping++) {
      const folder = new Folder()
      let writes = 0
      folder.files.writeFails = () =>
        ++writes >= stopping ? new Error('the machine stopped') : undefined
      folder.files.remove = () => Promise.reject(new Error('the machine stopped'))
      const vault = await folder.open()
      await vault.create({ name: 'Alice', passphrase: PASSPHRASE }).catch(() => undefined)
      const survivor = new Folder()
      for (const [name, bytes] of folder.files.files) survivor.files.files.set(name, bytes)
      const restarted = await survivor.open()
      expect(restarted.state, `write ${stopping}`).to.equal('sealed')
      const rootKey = Buffer.from(await restarted.open(passphrase(PASSPHRASE)))
      const kit = await restarted.newRecoveryKit(passphrase(PASSPHRASE))
      expect(rootKey.equals(await restarted.open(words(kit)))).to.equal(true)
    }
  })

  it('keeps the root key and the secrets out of what it writes', async () => {
    const { folder, kit, keyFile, rootKey } = await created()
    const stored = Buffer.concat([...folder.files.files.values()])
    const identity = keyFile.split('\n').at(-2) ?? ''
    const secrets = [PASSPHRASE, kit.words.slice(0, 3).join(' '), identity, kit.documentIdentity]
    for (const secret of secrets) expect(stored.includes(secret)).to.equal(false)
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      expect(stored.includes(rootKey.toString(encoding), 0, 'latin1')).to.equal(false)
    expect(
      [...folder.files.files.keys()].filter((name) => !name.startsWith('slot-'))
    ).to.have.members(['slots.json', 'recovery-check.age'])
  })

  it('gives each secret a slot that stock age opens, of kind, id and root key', async () => {
    const { folder, rootKey } = await created()
    const name = folder.slot('passphrase')
    const plaintext = Buffer.from(await decrypt(folder.bytes(name), [scryptIdentity(PASSPHRASE)]))
    expect(plaintext.subarray(0, 8).toString()).to.equal('elkslot1')
    expect(plaintext[8]).to.equal(1)
    expect(name).to.contain(plaintext.subarray(16, 24).toString('hex'))
    expect(plaintext.subarray(32).equals(rootKey)).to.equal(true)
  })

  it('asks scrypt for work factor 18 unless told otherwise', async () => {
    const folder = new Folder()
    const { files, clock, logger } = folder
    const vault = await openVault({ files, clock, logger, random: secureRandom })
    await vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    const [stanza] = parseHeader(folder.bytes(folder.slot('passphrase'))).stanzas
    expect(stanza?.args[2]).to.equal('18')
  }).timeout(30_000)

  it('derives the document identity of the recovery kit from the root key', async () => {
    const { vault, kit, rootKey } = await created()
    const identity = hybridIdentity(deriveKey(rootKey, 'document-identity'))
    expect(kit.documentIdentity).to.equal(identity.toText())
    expect(kit.documentRecipient).to.equal(identity.recipient.text)
    expect(vault.documentIdentity(rootKey).toText()).to.equal(identity.toText())
  })
})

describe('vault secrets', () => {
  it('refuses wrong secrets of every kind', async () => {
    const { folder } = await created()
    const { kit, keyFile } = await created()
    const vault = await folder.open()
    const wrong: Secret[] = [
      passphrase(OTHER),
      passphrase(''),
      words(kit),
      { kind: 'key-file', text: keyFile },
      { kind: 'key-file', text: '' },
      { kind: 'key-file', text: 'AGE-SECRET-KEY-PQ-1QQQQ' },
      { kind: 'key-file', text: keyFile + keyFile }
    ]
    for (const secret of wrong) await refuses(vault.open(secret), 'vault-secret-wrong')
    expect(vault.state).to.equal('sealed')
  })

  it('says which words are no words, and when their checksum does not fit', async () => {
    const { vault, kit } = await created()
    const open = (list: readonly string[]): Promise<unknown> =>
      vault.open({ kind: 'words', words: list })
    await refuses(open(kit.words.slice(1)), 'words-invalid')
    await refuses(open([...kit.words, 'abandon']), 'words-invalid')
    const misspelt = await refuses(open(kit.words.with(4, 'elocker')), 'words-invalid')
    expect(misspelt.facts).to.deep.equal({ positions: [5] })
    await refuses(open(Array.from({ length: 24 }, () => 'abandon')), 'words-invalid')
  })

  it('opens with the new passphrase only, once it was changed', async () => {
    const { folder, vault, kit, keyFile, rootKey } = await created()
    await vault.changePassphrase(passphrase(PASSPHRASE), OTHER)
    const restarted = await folder.open()
    await refuses(restarted.open(passphrase(PASSPHRASE)), 'vault-secret-wrong')
    for (const secret of [
      passphrase(OTHER),
      words(kit),
      { kind: 'key-file', text: keyFile }
    ] as const)
      expect(rootKey.equals(await restarted.open(secret))).to.equal(true)
    // Not even the file with the old secret stays anywhere.
    const slots = [...folder.files.files.keys()].filter((name) =>
      name.startsWith('slot-passphrase')
    )
    expect(slots).to.have.lengthOf(1)
  })

  it('replaces a forgotten passphrase by the words, without being open', async () => {
    const { folder, kit, rootKey } = await created()
    const vault = await folder.open()
    await vault.changePassphrase(words(kit), OTHER)
    expect(vault.state).to.equal('sealed')
    expect(rootKey.equals(await vault.open(passphrase(OTHER)))).to.equal(true)
  })

  it('opens with the old passphrase or the new one, and never both, wherever a change is cut short', async () => {
    for (let stopping = 1; stopping <= 3; stopping++) {
      const { folder, vault } = await created()
      let writes = 0
      folder.files.writeFails = () =>
        ++writes >= stopping ? new Error('the machine stopped') : undefined
      await vault
        .changePassphrase({ kind: 'key-file', text: (await created()).keyFile }, OTHER)
        .catch(() => undefined)
      await vault.changePassphrase(passphrase(PASSPHRASE), OTHER).catch(() => undefined)
      folder.files.writeFails = undefined
      const opened = []
      for (const text of [PASSPHRASE, OTHER]) {
        const restarted = await folder.open()
        opened.push(
          await restarted.open(passphrase(text)).then(
            () => text,
            () => undefined
          )
        )
        expect((await restarted.slots()).filter(({ damaged }) => damaged !== undefined)).to.be.empty
      }
      expect(
        opened.filter((text) => text !== undefined),
        `write ${stopping}`
      ).to.have.lengthOf(1)
    }
  })

  it('removes a second slot of the same kind when the passphrase is changed', async () => {
    const { folder, vault } = await created()
    const old = folder.bytes(folder.slot('passphrase'))
    folder.files.files.set('slot-passphrase-ffffffffffffffff.age', old)
    await vault.changePassphrase(passphrase(PASSPHRASE), OTHER)
    const kinds = (await vault.slots()).map(({ kind }) => kind)
    expect(kinds).to.have.members(['passphrase', 'words', 'key-file'])
  })

  it('refuses weak passphrases at creation and at a change alike', async () => {
    const weak: Array<readonly [string, string]> = [
      ['', 'short'],
      ['aB3$x', 'short'],
      ['Summer2024', 'short'],
      ['password1234', 'guessable'],
      ['aaaaaaaaaaaaaaaa', 'guessable'],
      ['1234567890123456', 'guessable'],
      ['qwertyuiopasdf', 'guessable'],
      ['Alice Liddell Pleasance', 'name'],
      ['ALICE LIDDELL PLEASANCE ', 'name'],
      ['x'.repeat(1_025), 'long']
    ]
    const name = 'Alice Liddell Pleasance'
    const { vault } = await created()
    for (const [text, reason] of weak) {
      const fresh = await new Folder().open()
      const atCreation = await refuses(fresh.create({ name, passphrase: text }), 'passphrase-weak')
      expect(atCreation.facts, text).to.deep.equal({ reason })
      expect(fresh.state).to.equal('new')
      const change = vault.changePassphrase(passphrase(PASSPHRASE), text, { name })
      expect((await refuses(change, 'passphrase-weak')).facts, text).to.deep.equal({ reason })
    }
    await vault.open(passphrase(PASSPHRASE))
  })

  it('takes a short passphrase that is hard to guess', async () => {
    const vault = await new Folder().open()
    await vault.create({ name: 'Alice', passphrase: 'x7#Kq!9vTz' })
  })

  it('opens with the new words only, once they were replaced', async () => {
    const { folder, vault, kit, rootKey } = await created()
    const next = await vault.newRecoveryKit(passphrase(PASSPHRASE))
    expect(next.words).to.not.deep.equal(kit.words)
    expect(next.documentIdentity).to.equal(kit.documentIdentity)
    const restarted = await folder.open()
    await refuses(restarted.open(words(kit)), 'vault-secret-wrong')
    expect(rootKey.equals(await restarted.open(words(next)))).to.equal(true)
  })

  it('makes new words from the old ones', async () => {
    const { vault, kit } = await created()
    const next = await vault.newRecoveryKit(words(kit))
    await refuses(vault.newRecoveryKit(words(kit)), 'vault-secret-wrong')
    await vault.open(words(next))
  })
})

/** What the owner answers who has written the words down. */
function asked(kit: RecoveryKit): Record<number, string> {
  return Object.fromEntries(kit.ask.map((position) => [position, kit.words[position - 1] ?? '']))
}

describe('vault recovery check', () => {
  it('asks for three different positions', async () => {
    const { kit } = await created()
    expect(new Set(kit.ask).size).to.equal(3)
    expect([...kit.ask]).to.deep.equal([...kit.ask].toSorted((a, b) => a - b))
    expect(kit.ask.every((position) => position >= 1 && position <= 24)).to.equal(true)
  })

  it('remembers across restarts that the words were given back', async () => {
    const { folder, vault, kit } = await created()
    expect(vault.recoveryConfirmed).to.equal(false)
    const restarted = await folder.open()
    await restarted.open(passphrase(PASSPHRASE))
    await restarted.confirmRecovery(asked(kit))
    expect(restarted.recoveryConfirmed).to.equal(true)
    restarted.seal()
    expect(restarted.recoveryConfirmed).to.equal(false)
    const again = await folder.open()
    await again.open(words(kit))
    expect(again.recoveryConfirmed).to.equal(true)
  })

  it('names the positions where the words differ', async () => {
    const { vault, kit } = await created()
    const [first, second, third] = kit.ask
    const given = { ...asked(kit), [second]: 'wrong', [third]: '' }
    const error = await refuses(vault.confirmRecovery(given), 'words-invalid')
    expect(error.facts).to.deep.equal({ positions: [second, third] })
    await refuses(vault.confirmRecovery({}), 'words-invalid')
    await refuses(vault.confirmRecovery({ [first]: kit.words[first - 1] ?? '' }), 'words-invalid')
    expect(vault.recoveryConfirmed).to.equal(false)
  })

  it('is unconfirmed again when the words are replaced', async () => {
    const { folder, vault, kit } = await created()
    await vault.confirmRecovery(asked(kit))
    const next = await vault.newRecoveryKit(words(kit))
    expect(vault.recoveryConfirmed).to.equal(false)
    await refuses(vault.confirmRecovery(asked(kit)), 'words-invalid')
    await vault.confirmRecovery(asked(next))
    const restarted = await folder.open()
    await restarted.open(passphrase(PASSPHRASE))
    expect(restarted.recoveryConfirmed).to.equal(true)
  })

  it('is unconfirmed when its file is damaged, and the vault opens all the same', async () => {
    const { folder, vault, kit } = await created()
    await vault.confirmRecovery(asked(kit))
    const bytes = folder.bytes('recovery-check.age')
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    const restarted = await folder.open()
    await restarted.open(passphrase(PASSPHRASE))
    expect(restarted.recoveryConfirmed).to.equal(false)
    await refuses(restarted.confirmRecovery(asked(kit)), 'words-invalid')
  })

  it('needs an open vault', async () => {
    const { folder, kit } = await created()
    await refuses((await folder.open()).confirmRecovery(asked(kit)), 'vault-sealed')
  })
})

describe('vault damage', () => {
  for (const kind of ['passphrase', 'words', 'key-file'] as const)
    it(`names the ${kind} slot with any of its bytes flipped, and opens with the others`, async () => {
      const { folder, kit, keyFile, rootKey } = await created()
      const secrets = {
        passphrase: passphrase(PASSPHRASE),
        words: words(kit),
        'key-file': { kind: 'key-file', text: keyFile } as const
      }
      const name = folder.slot(kind)
      const bytes = folder.bytes(name)
      const sums = new Uint8Array(folder.bytes('slots.json'))
      for (let at = 0; at < bytes.length; at++) {
        const flipped = new Uint8Array(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
        folder.files.files.set(name, flipped)
        folder.files.files.delete('attempts.json')
        const vault = await folder.open()
        const error = await refuses(vault.open(secrets[kind]), 'vault-damaged')
        expect(JSON.stringify(error.facts)).to.contain(name.slice(-20, -4))
        if (at % 100 > 0) continue
        const named = (await vault.slots()).filter(({ damaged }) => damaged !== undefined)
        expect(named.map((slot) => slot.kind)).to.deep.equal([kind])
        const other = kind === 'words' ? secrets['key-file'] : secrets.words
        expect(rootKey.equals(await vault.open(other))).to.equal(true)
      }
      expect(folder.bytes('slots.json')).to.deep.equal(sums)
    }).timeout(60_000)

  it('refuses a slot cut short at any byte', async () => {
    const { folder, kit } = await created()
    const name = folder.slot('words')
    const bytes = folder.bytes(name)
    const vault = await folder.open()
    for (let length = 0; length < bytes.length; length++) {
      folder.files.files.set(name, bytes.slice(0, length))
      await refuses(vault.open(words(kit)), 'vault-damaged')
    }
  }).timeout(30_000)

  it('refuses a slot in the place of another', async () => {
    const { folder, vault, kit, keyFile } = await created()
    folder.files.files.set(folder.slot('key-file'), folder.bytes(folder.slot('words')))
    await refuses(vault.open({ kind: 'key-file', text: keyFile }), 'vault-damaged')
    const id = folder.slot('words').slice(-20, -4)
    const moved = folder.slot('words').replace(id, '0123456789abcdef')
    folder.files.files.set(moved, folder.bytes(folder.slot('words')))
    folder.files.files.delete(folder.slot('words'))
    await refuses(vault.open(words(kit)), 'vault-damaged')
  })

  it('opens without the digests, whatever they hold, and writes them again', async () => {
    for (const content of [
      undefined,
      'not json',
      '{"version":1,"slots":[]}',
      '{"version":9}',
      '[]'
    ]) {
      const { folder } = await created()
      if (content === undefined) folder.files.files.delete('slots.json')
      else folder.files.files.set('slots.json', new Uint8Array(Buffer.from(content)))
      const vault = await folder.open()
      await refuses(vault.open(passphrase(OTHER)), 'vault-secret-wrong')
      await vault.open(passphrase(PASSPHRASE))
      expect(JSON.parse(Buffer.from(folder.bytes('slots.json')).toString())).to.have.property(
        'slots'
      )
    }
  })

  it('says that the slot is missing when there is none of the kind', async () => {
    const { folder, vault, kit } = await created()
    folder.files.files.delete(folder.slot('passphrase'))
    await refuses(vault.open(passphrase(PASSPHRASE)), 'vault-damaged')
    await vault.changePassphrase(words(kit), OTHER)
    await vault.open(passphrase(OTHER))
  })

  it('refuses a slot that asks for more scrypt than a slot may', async () => {
    const { folder, vault } = await created()
    const name = folder.slot('passphrase')
    const text = Buffer.from(folder.bytes(name)).toString('latin1').replace(/ 10\n/, ' 21\n')
    folder.files.files.set(name, new Uint8Array(Buffer.from(text, 'latin1')))
    await refuses(vault.open(passphrase(PASSPHRASE)), 'vault-damaged')
  })
})
