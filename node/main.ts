#!/usr/bin/env node
/**
 * `elocker`: the command line. Each command's module is loaded when it is called, so that `--help` never
 * loads libp2p.
 *
 * @module
 */
import { Command, CommanderError, Option } from 'commander'
import { EXIT } from './commands/outcome.ts'
import type { ShareOptions } from './commands/sharing.ts'
import { collect, command, run, withClient, type Common } from './commands/wiring.ts'
import { homeFolder, SETTINGS } from './config.ts'
import { credentialCommands, issuerCommands } from './issuer-program.ts'
import { packageVersion } from './version.ts'

/** Options of `verify`. */
interface VerifyOptions {
  readonly offline?: boolean
  readonly challenge?: string
  readonly domain?: string
  readonly allowedHosts?: readonly string[]
}

function withPassphrase(target: Command): Command {
  return target.addOption(
    new Option('--passphrase-file <file>', 'first line of FILE is the passphrase').env(
      'ELOCKER_PASSPHRASE_FILE'
    )
  )
}

/** Adds every setting of node/config.ts that is no option of the command yet. */
function withSettings(target: Command): Command {
  for (const [variable, name, meaning, preset] of SETTINGS) {
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (target.options.some(({ long }) => long === `--${flag}`)) continue
    const kind = SETTING_KINDS.get(name)
    const usage = kind === 'switch' ? `--${flag} [on|off]` : `--${flag} <value>`
    const repeatable = kind === 'list' ? '; repeatable' : ''
    const help = `${meaning}${repeatable} (${variable}; ${preset})`
    if (kind === 'list') target.option(usage, help, collect)
    else target.option(usage, help)
  }
  return target
}

/** Settings that are on or off, and those given once for each of their entries; the others have one value. */
const SETTING_KINDS: ReadonlyMap<string, 'switch' | 'list'> = new Map([
  ...['socket', 'relay', 'mdns'].map((name) => [name, 'switch'] as const),
  ...['hostName', 'p2p', 'announce', 'bootstrap', 'relays', 'bitswapPeer', 'allowedHosts'].map(
    (name) => [name, 'list'] as const
  )
])

const loadDocuments = () => import('./commands/documents.ts')
const loadSharing = () => import('./commands/sharing.ts')
const loadContacts = () => import('./commands/contacts.ts')
const loadLocker = () => import('./commands/locker.ts')
const loadHousekeeping = () => import('./commands/housekeeping.ts')

const program = new Command('elocker')
  .description('A decentralised locker for documents and credentials.')
  .version(packageVersion())
  .showHelpAfterError('(see: elocker --help)')
  .enablePositionalOptions()
  .exitOverride()

agentCommands(program)
documentCommands(program)
contentCommands(program)
sharingCommands(program)
inboxCommands(program)
contactCommands(program)
lockerCommands(program)
verificationCommands(program)
credentialCommands(program)
issuerCommands(program)
recoveryCommands(program)
housekeepingCommands(program)

function agentCommands(parent: Command): void {
  withSettings(
    withPassphrase(command(parent, 'up', 'start the agent and print the address of its page'))
  ).action((options: Common) =>
    run(options, async (voice) => (await import('./commands/up.ts')).up(voice, { ...options }))
  )
  command(parent, 'status', 'state, name and addresses of the running agent').action(
    (options: Common) =>
      withClient(options, async (client, voice) =>
        (await import('./commands/locker.ts')).status(client, voice)
      )
  )
  command(parent, 'open', 'print a fresh address of the page, to let a browser in').action(
    (options: Common) =>
      withClient(options, async (client, voice) =>
        (await import('./commands/locker.ts')).openPage(client, voice)
      )
  )
  command(parent, 'doctor', 'look for faults and say what to do')
    .option('--accept-loss', 'take records that are lost as lost, for good')
    .action((options: Common & { acceptLoss?: boolean }) =>
      run(options, async (voice) => {
        const commands = await import('./commands/doctor.ts')
        if (options.acceptLoss === true)
          await withClient(options, (client) => commands.acceptLoss(client, voice))
        else await commands.doctor(voice, homeFolder(options.home))
      })
    )
}

function documentCommands(parent: Command): void {
  command(parent, 'add <file...>', 'add files; - reads stdin')
    .option('--name <name>', 'instead of the file name')
    .option('--tag <tag>', 'repeatable', collect)
    .option('--type <word>', 'kind of document, e.g. degree')
    .option('--version-of <id>', 'add as a new version of this document')
    .action(
      (
        files: string[],
        options: Common & { name?: string; tag?: string[]; type?: string; versionOf?: string }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadDocuments()).add(client, voice, files, {
            ...options,
            ...(options.versionOf === undefined ? {} : { version: options.versionOf })
          })
        )
    )
  command(parent, 'list', 'list documents, newest first')
    .option('--trashed', 'what is in the trash')
    .action((options: Common & { trashed?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadDocuments()).list(client, voice, options)
      )
    )
  command(
    parent,
    'search <words...>',
    'documents whose name, kind or tags begin with all words'
  ).action((words: string[], options: Common) =>
    withClient(options, async (client, voice) =>
      (await loadDocuments()).list(client, voice, { query: words.join(' ') })
    )
  )
  command(parent, 'show <id>', 'everything known of a document').action(
    (id: string, options: Common) =>
      withClient(options, async (client, voice) => (await loadDocuments()).show(client, voice, id))
  )
}

function contentCommands(parent: Command): void {
  command(parent, 'get <id>', 'write a document, or one shared with you, to a file')
    .option('-o, --output <file>', 'default: stdout')
    .option('--version-number <n>', 'an older version')
    .option('--force', 'overwrite the file')
    .action(
      (
        id: string,
        options: Common & { output?: string; versionNumber?: string; force?: boolean }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadDocuments()).get(client, voice, id, {
            ...options,
            ...(options.versionNumber === undefined ? {} : { version: options.versionNumber })
          })
        )
    )
  command(parent, 'change <id>', 'rename, tag, set the kind')
    .option('--name <name>')
    .option('--tag <tag>', 'replaces all tags; repeatable; empty removes', collect)
    .option('--type <word>', 'empty removes')
    .action((id: string, options: Common & { name?: string; tag?: string[]; type?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadDocuments()).change(client, voice, id, options)
      )
    )
  command(parent, 'rm <id...>', 'move to the trash (30 days)')
    .option('--permanent', 'delete for good, now')
    .action((ids: string[], options: Common & { permanent?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadDocuments()).remove(client, voice, ids, options)
      )
    )
  command(parent, 'restore <id>', 'take out of the trash').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadDocuments()).restore(client, voice, id))
  )
  command(parent, 'check [id]', 'read and verify every block').action(
    (id: string | undefined, options: Common) =>
      withClient(options, async (client, voice) => (await loadDocuments()).check(client, voice, id))
  )
}

function sharingCommands(parent: Command): void {
  const share = parent.command('share').description('grants to contacts, and links')
  command(share, 'create <id>', 'share a document with a contact, or make a link')
    .option('--to <contact>', 'name or DID')
    .option('--link', 'a link for anyone with a browser')
    .option('--purpose <text>', 'why; needed for a contact')
    .option('--expires <when>', '30m, 24h, 7d, 2w or a date')
    .addOption(
      new Option('--permission <what>', 'what the contact may do').choices(['read', 'copy'])
    )
    .option('--uses <n>', 'times a link opens; default 1')
    .option('--link-passphrase-file <file>', 'first line is asked of whoever opens the link')
    .option('--qr', 'also print the link as a QR code')
    .action((id: string, options: Common & ShareOptions) =>
      withClient(options, async (client, voice) =>
        (await loadSharing()).create(client, voice, id, options)
      )
    )
  command(share, 'list', 'what is shared with whom')
    .addOption(new Option('--kind <kind>').choices(['grant', 'link']))
    .addOption(new Option('--direction <direction>').choices(['given', 'received']))
    .action((options: Common & { kind?: string; direction?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadSharing()).list(client, voice, options)
      )
    )
  command(share, 'show <id>', 'one grant or link').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadSharing()).show(client, voice, id))
  )
  command(share, 'revoke <id>', 'withdraw a grant, stop a link')
    .option('--reason <text>', 'told to the contact')
    .action((id: string, options: Common & { reason?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadSharing()).revoke(client, voice, id, options)
      )
    )
}

function inboxCommands(parent: Command): void {
  const inbox = parent.command('inbox').description('what contacts offer and ask')
  command(inbox, 'list', 'newest first').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadSharing()).inboxList(client, voice))
  )
  command(inbox, 'show <id>', 'one item').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadSharing()).inboxShow(client, voice, id))
  )
  command(inbox, 'accept <id>', 'accept a grant; answer a request with --document')
    .option('--document <id>', 'the document that answers a request')
    .addOption(new Option('--permission <what>').choices(['read', 'copy']))
    .option('--expires <when>', '30m, 24h, 7d, 2w or a date')
    .action(
      (
        id: string,
        options: Common & { document?: string; permission?: string; expires?: string }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadSharing()).accept(client, voice, id, options)
        )
    )
  command(inbox, 'decline <id>', 'say no')
    .option('--reason <text>', 'told to the contact')
    .action((id: string, options: Common & { reason?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadSharing()).decline(client, voice, id, options)
      )
    )
  const request = parent.command('request').description('ask a contact for a document')
  command(request, 'create <what>', 'e.g. "your degree certificate"')
    .requiredOption('--from <contact>', 'name or DID')
    .requiredOption('--purpose <text>', 'why')
    .action((wanted: string, options: Common & { from: string; purpose: string }) =>
      withClient(options, async (client, voice) =>
        (await loadSharing()).request(client, voice, wanted, options)
      )
    )
  command(request, 'list', 'requests sent and received').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadSharing()).requests(client, voice))
  )
}

function verificationCommands(parent: Command): void {
  command(parent, 'verify <file|url|->', 'judge a credential: JSON, SD-JWT, PDF, presentation')
    .option('--offline', 'ask nobody; the age of what is known is said')
    .option('--challenge <text>', 'what the presenter was asked to sign')
    .option('--domain <text>', 'whom the presentation must be made for')
    .option('--allowed-hosts <host>', 'non-public hosts that may be asked; repeatable', collect)
    .action((what: string, options: Common & VerifyOptions) =>
      run(options, async (voice) => {
        const { verify } = await import('./commands/verify.ts')
        const { allowedHosts = [], home, ...rest } = options
        await verify({ ...rest, what, home: homeFolder(home), allowedHosts }, voice)
      })
    )
}

function contactCommands(parent: Command): void {
  command(parent, 'invite', 'make an invitation for one other party')
    .option('--name <name>', 'what to call whoever answers')
    .option('--expires <when>', 'default 7d')
    .option('--qr', 'also print it as a QR code')
    .action((options: Common & { name?: string; expires?: string; qr?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadContacts()).invite(client, voice, options)
      )
    )
  const contact = parent.command('contact').description('the other parties')
  command(contact, 'add <url>', 'accept an invitation')
    .option('--name <name>', 'what to call them')
    .action((url: string, options: Common & { name?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadContacts()).add(client, voice, url, options)
      )
    )
  command(contact, 'list', 'everyone known').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadContacts()).list(client, voice))
  )
  command(contact, 'rename <contact> <name>', 'give another name').action(
    (contactName: string, name: string, options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadContacts()).rename(client, voice, contactName, name)
      )
  )
  command(contact, 'rm <contact>', 'forget; grants to it are withdrawn').action(
    (name: string, options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadContacts()).remove(client, voice, name)
      )
  )
  command(contact, 'ping <contact>', 'is their agent there?').action(
    (name: string, options: Common) =>
      withClient(options, async (client, voice) => (await loadContacts()).ping(client, voice, name))
  )
}

function lockerCommands(parent: Command): void {
  withPassphrase(command(parent, 'init', 'create the locker; prints the recovery kit, once'))
    .option('--name <name>', 'your name')
    .option('--key-file <file>', 'also write a key file that opens the locker (unattended start)')
    .action((options: Common & { name?: string; keyFile?: string }) =>
      run(options, async (voice) =>
        (await loadLocker()).init(voice, { ...options, home: homeFolder(options.home) })
      )
    )
  withPassphrase(command(parent, 'unlock', 'open the locker of the running agent'))
    .option('--words', 'with the 24 words')
    .option('--words-file <file>', 'with the 24 words in a file')
    .option('--key-file <file>', 'with a key file')
    .action((options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadLocker()).unlock(client, voice, options)
      )
    )
  command(parent, 'lock', 'seal the locker of the running agent').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadLocker()).lock(client, voice))
  )
  withPassphrase(command(parent, 'passphrase', 'set a new passphrase'))
    .option('--words', 'with the 24 words instead of the old passphrase')
    .option('--words-file <file>', 'with the 24 words in a file')
    .option('--new-passphrase-file <file>')
    .action((options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadLocker()).changePassphrase(client, voice, options)
      )
    )
}

function recoveryCommands(parent: Command): void {
  const recovery = parent.command('recovery').description('the recovery kit')
  withPassphrase(command(recovery, 'create', 'make a new kit; the old words end')).action(
    (options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadLocker()).newKit(client, voice, options)
      )
  )
  command(recovery, 'test', 'do these words open the locker?')
    .option('--words-file <file>')
    .action((options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadLocker()).testWords(client, voice, options)
      )
    )
  const backup = parent.command('backup').description('the whole locker in one file')
  command(backup, 'create <file.car>', 'write sealed blocks and sealed records')
    .option('--force', 'overwrite the file')
    .action((file: string, options: Common & { force?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadLocker()).backup(client, voice, file, options)
      )
    )
  command(backup, 'restore <file.car>', 'into an empty home; then unlock with the words').action(
    (file: string, options: Common) =>
      run(options, async (voice) =>
        (await loadLocker()).restoreBackup(voice, homeFolder(options.home), file)
      )
  )
}

function housekeepingCommands(parent: Command): void {
  const activity = command(parent, 'activity', 'what happened, newest first')
    .option('--limit <n>', 'lines', '50')
    .option('--document <id>', 'of one document')
    .action((options: Common & { limit: string; document?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadHousekeeping()).activity(client, voice, options)
      )
    )
  command(activity, 'verify', 'recompute the chain of the log').action((options: Common) =>
    withClient(options, async (client, voice) =>
      (await loadHousekeeping()).verifyActivity(client, voice)
    )
  )
  const outbox = command(parent, 'outbox', 'messages on their way').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadHousekeeping()).outbox(client, voice))
  )
  command(outbox, 'retry <id>', 'try again now').action((id: string, options: Common) =>
    withClient(options, async (client, voice) =>
      (await loadHousekeeping()).retry(client, voice, id)
    )
  )
  const token = parent.command('token').description('access for machines')
  command(token, 'create', 'make a token')
    .requiredOption('--name <name>', 'what it is for')
    .requiredOption(
      '--scope <scope>',
      'repeatable: documents:read documents:write shares inbox contacts activity admin; and those of an issuer, e.g. credentials:issue (all of them: /docs on the page)',
      collect
    )
    .option('--expires <when>', '30m, 24h, 7d, 2w or a date')
    .action((options: Common & { name: string; scope: string[]; expires?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadHousekeeping()).createToken(client, voice, options)
      )
    )
  command(token, 'list', 'tokens').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadHousekeeping()).tokens(client, voice))
  )
  command(token, 'revoke <id>', 'end a token').action((id: string, options: Common) =>
    withClient(options, async (client, voice) =>
      (await loadHousekeeping()).revokeToken(client, voice, id)
    )
  )
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Commander has printed what was wrong; help and version end in 0.
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage
}
