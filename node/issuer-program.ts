/**
 * The commands of institutions and of those who hold credentials, as they are typed.
 *
 * @module
 */
import { Option, type Command } from 'commander'
import type { IssueOptions, WishOptions } from './commands/issue.ts'
import type { InitOptions } from './commands/issuer.ts'
import { collect, command, withClient, type Common } from './commands/wiring.ts'

const loadIssuer = () => import('./commands/issuer.ts')
const loadIssue = () => import('./commands/issue.ts')
const loadCredentials = () => import('./commands/credentials.ts')

/** `elocker credential …`: the holder's side. */
export function credentialCommands(parent: Command): void {
  const credential = parent.command('credential').description('credentials that are yours')
  command(credential, 'list', 'newest first').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadCredentials()).list(client, voice))
  )
  command(credential, 'show <id>', 'one credential').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadCredentials()).show(client, voice, id))
  )
  command(credential, 'verify <id>', 'what a verifier would say of it now')
    .option('--offline', 'from what came along with it')
    .action((id: string, options: Common & { offline?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadCredentials()).verify(client, voice, id, options)
      )
    )
  command(credential, 'certificate <id>', 'a PDF to print, with the credential inside it')
    .requiredOption('-o, --output <file>', 'where it goes')
    .option('--language <tag>', 'of the labels; default en')
    .option('--second <tag>', 'a second language beside the first')
    .option('--force', 'overwrite the file')
    .action(
      (
        id: string,
        options: Common & { output: string; language?: string; second?: string; force?: boolean }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadCredentials()).certificate(client, voice, id, options)
        )
    )
  askingCommands(credential)
}

function askingCommands(credential: Command): void {
  command(credential, 'ask', 'ask an institution for a credential')
    .requiredOption('--from <contact>', 'name or DID')
    .requiredOption('--type <id>', 'kind of credential, as the institution calls it')
    .option('--form <file>', 'JSON file with what its form asks for')
    .option('--comment <text>', 'said with it')
    .action((options: Common & { from: string; type: string; form?: string; comment?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadCredentials()).ask(client, voice, options)
      )
    )
  command(credential, 'requests', 'what was asked for and offered').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadCredentials()).exchanges(client, voice))
  )
  command(credential, 'cancel <id>', 'take back what was asked for')
    .option('--reason <text>', 'told to the institution')
    .action((id: string, options: Common & { reason?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadCredentials()).cancel(client, voice, id, options)
      )
    )
}

/** `elocker issuer …` and `elocker issue`: the institution's side. */
export function issuerCommands(parent: Command): void {
  const issuer = parent.command('issuer').description('an institution that issues credentials')
  itselfCommands(issuer)
  typeCommands(issuer)
  staffCommands(issuer)
  recordCommands(issuer)
  issuedCommands(issuer)
  requestCommands(issuer)
  wished(command(parent, 'issue', 'offer a credential'))
    .requiredOption('--type <id>', 'a published kind of credential')
    .requiredOption('--data <file>', 'JSON file with the claims; - reads stdin')
    .option('--to <contact>', 'name or DID')
    .option('--invite <name>', 'somebody new: prints an invitation for them')
    .action((options: Common & IssueOptions) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).issue(client, voice, options)
      )
    )
}

/** Adds what may be said of each credential that is prepared. */
function wished(target: Command): Command {
  return target
    .addOption(new Option('--format <format>').choices(['vcdm-2.0', 'sd-jwt-vc']))
    .addOption(new Option('--suite <suite>').choices(['eddsa-jcs-2022', 'eddsa-rdfc-2022']))
    .option('--valid-until <when>', '30d, 52w or a date; default: what the kind says')
    .option('--comment <text>', 'said with the offer')
}

function itselfCommands(issuer: Command): void {
  command(issuer, 'init', 'set up the issuer and its first key')
    .requiredOption('--name <name>', 'in English, or TAG=NAME; repeatable', collect)
    .option('--domain <host>', 'its web domain, which the public listener answers for')
    .option('--category <category>', 'education, identity …; repeatable; default other', collect)
    .option('--second-approval', 'a second person has to approve each credential')
    .action((options: Common & InitOptions) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).init(client, voice, options)
      )
    )
  command(issuer, 'show', 'the issuer and its keys').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadIssuer()).show(client, voice))
  )
  command(issuer, 'change', 'change what it says of itself')
    .option('--name <name>', 'replaces all names; in English, or TAG=NAME; repeatable', collect)
    .option('--category <category>', 'replaces all categories; repeatable', collect)
    .addOption(
      new Option('--second-approval <on|off>', 'whether a second person has to approve').choices([
        'on',
        'off'
      ])
    )
    .action(
      (
        options: Common & {
          name?: readonly string[]
          category?: readonly string[]
          secondApproval?: string
        }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadIssuer()).change(client, voice, options)
        )
    )
  command(issuer, 'rotate-key', 'sign with a new key; what the old one signed stays valid')
    .option('--compromised', 'a key was found out: nothing it signed counts any more')
    .option('--key <id>', 'with --compromised: an older key than the present one')
    .action((options: Common & { compromised?: boolean; key?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).rotateKey(client, voice, options)
      )
    )
  command(issuer, 'descriptor', 'what it says of itself, signed').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadIssuer()).descriptor(client, voice))
  )
}

function typeCommands(issuer: Command): void {
  const type = issuer.command('type').description('kinds of credential')
  type Versioned = Common & { typeVersion?: string }
  command(type, 'list', 'every version').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadIssuer()).typeList(client, voice))
  )
  command(type, 'show <id>', 'as its JSON file')
    .option('--type-version <version>', 'default: what is issued now')
    .action((id: string, options: Versioned) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).typeShow(client, voice, id, options)
      )
    )
  command(type, 'add <file>', 'save a draft from its JSON file').action(
    (file: string, options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).typeAdd(client, voice, file)
      )
  )
  command(type, 'publish <id>', 'issue it; that version never changes again')
    .option('--type-version <version>', 'default: the newest draft')
    .action((id: string, options: Versioned) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).typePublish(client, voice, id, options)
      )
    )
  command(type, 'deprecate <id>', 'issue nothing more; what was issued stays valid')
    .option('--type-version <version>', 'default: what is issued now')
    .action((id: string, options: Versioned) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).typeDeprecate(client, voice, id, options)
      )
    )
}

function staffCommands(issuer: Command): void {
  const staff = issuer.command('staff').description('accounts of the institution')
  command(staff, 'add <name>', 'make an account and print its token')
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'])
        .makeOptionMandatory()
    )
    .option('--expires <when>', '30d, 52w or a date')
    .action((name: string, options: Common & { role: string; expires?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).staffAdd(client, voice, name, options)
      )
    )
  command(staff, 'list', 'accounts with their roles').action((options: Common) =>
    withClient(options, async (client, voice) => (await loadIssuer()).staffList(client, voice))
  )
  command(staff, 'remove <id>', 'end an account').action((id: string, options: Common) =>
    withClient(options, async (client, voice) =>
      (await loadIssuer()).staffRemove(client, voice, id)
    )
  )
}

function recordCommands(issuer: Command): void {
  const record = issuer.command('record').description('what the institution knows of people')
  command(record, 'import <type> <file>', 'CSV, or .ndjson with one JSON object a line')
    .option('--key <pointer>', 'field that makes two rows one record; repeatable', collect)
    .option('--whole', 'the file is the whole register: what it lacks is removed')
    .action(
      (
        type: string,
        file: string,
        options: Common & { key?: readonly string[]; whole?: boolean }
      ) =>
        withClient(options, async (client, voice) =>
          (await loadIssuer()).recordImport(client, voice, { type, file }, options)
        )
    )
  command(record, 'list <type> [words...]', 'records in which all words are found').action(
    (type: string, words: string[], options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).recordList(client, voice, { type, words })
      )
  )
  command(record, 'show <type> <id>', 'one record').action(
    (type: string, id: string, options: Common) =>
      withClient(options, async (client, voice) =>
        (await loadIssuer()).recordShow(client, voice, { type, id })
      )
  )
}

function issuedCommands(issuer: Command): void {
  const credential = issuer.command('credential').description('what was issued')
  command(credential, 'list', 'newest first')
    .option('--type <id>', 'of one kind')
    .option('--open', 'what is not signed yet')
    .action((options: Common & { type?: string; open?: boolean }) =>
      withClient(options, async (client, voice) => (await loadIssue()).list(client, voice, options))
    )
  command(credential, 'show <id>', 'with its history').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadIssue()).show(client, voice, id))
  )
  const decisions = [
    ['approve', 'the second person’s yes'],
    ['withdraw', 'take back what is not signed'],
    ['suspend', 'until reinstated'],
    ['reinstate', 'end a suspension'],
    ['revoke', 'for good']
  ] as const
  for (const [action, summary] of decisions) {
    const target = command(credential, `${action} <id>`, summary)
    if (action !== 'approve') target.option('--reason <text>', 'told to the holder')
    target.action((id: string, options: Common & { reason?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).decide(client, voice, { id, action }, options)
      )
    )
  }
  wished(command(credential, 'replace <id>', 'offer a correction or renewal'))
    .option('--data <file>', 'JSON file with the new claims; default: the same')
    .action((id: string, options: Common & WishOptions & { data?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).replace(client, voice, id, options)
      )
    )
}

function requestCommands(issuer: Command): void {
  const request = issuer.command('request').description('what holders ask for')
  command(request, 'list', 'what waits')
    .option('--all', 'what has ended as well')
    .action((options: Common & { all?: boolean }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).requests(client, voice, options)
      )
    )
  command(request, 'show <id>', 'with the records that fit').action((id: string, options: Common) =>
    withClient(options, async (client, voice) => (await loadIssue()).request(client, voice, id))
  )
  wished(command(request, 'deliver <id>', 'answer with a record, or with claims'))
    .option('--record <id>', 'of the registry')
    .option('--data <file>', 'JSON file with the claims')
    .action((id: string, options: Common & WishOptions & { record?: string; data?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).deliver(client, voice, id, options)
      )
    )
  command(request, 'pending <id>', 'tell the holder that it takes longer')
    .option('--until <when>', '3d, 2w or a date')
    .option('--comment <text>', 'told to the holder')
    .action((id: string, options: Common & { until?: string; comment?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).pending(client, voice, id, options)
      )
    )
  command(request, 'refuse <id>', 'end it')
    .option('--reason <text>', 'told to the holder')
    .action((id: string, options: Common & { reason?: string }) =>
      withClient(options, async (client, voice) =>
        (await loadIssue()).refuse(client, voice, id, options)
      )
    )
}
