/**
 * `npm run dev`: a relay and three agents on this machine, each in a process and home of its own, already
 * acquainted and with something in every inbox. Ctrl-C stops them and removes their homes.
 *
 * 1. The university and Alice are contacts; Alice and the employer are contacts.
 * 2. The university offers Alice a copy of her degree certificate.
 * 3. Alice has an identity card and an insurance policy, and a link to the policy.
 * 4. The employer asks Alice for her degree.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContactFacts, DocumentFacts, LinkFacts } from '../agent/agent.ts'
import { samplePdf } from './sample-pdf.ts'
import { eventually, Party, PASSPHRASE } from './scenarios/processes.ts'

const parties: Party[] = []

async function party(name: string): Promise<Party> {
  const created = await Party.create(name)
  parties.push(created)
  return created
}

/** Makes two running agents contacts of each other. */
async function introduce(one: Party, other: Party): Promise<void> {
  const { url } = await one.json<{ url: string }>('invite')
  await other.json('contact', 'add', url, '--name', one.name)
  await eventually(async () => {
    const contacts = await one.json<ContactFacts[]>('contact', 'list')
    return contacts.find(({ name, state }) => name === other.name && state === 'connected')
  }, `${other.name} among the contacts of ${one.name}`)
}

async function addPdf(
  owner: Party,
  name: string,
  type: string,
  lines: readonly string[]
): Promise<DocumentFacts> {
  const file = join(owner.folder, name)
  await writeFile(file, samplePdf(name.replace(/\.pdf$/, ''), lines))
  return owner.json<DocumentFacts>('add', file, '--type', type)
}

async function seed(university: Party, alice: Party, employer: Party): Promise<string> {
  await introduce(university, alice)
  await introduce(alice, employer)
  const degree = await addPdf(university, 'Degree certificate.pdf', 'degree', [
    'Alice Example has passed the examination for the degree of',
    'Bachelor of Science in Physics, first class, 1998.'
  ])
  const offer = ['--to', 'Alice', '--permission', 'copy', '--purpose', 'your degree certificate']
  await university.json('share', 'create', degree.id, ...offer)
  await addPdf(alice, 'Identity card.pdf', 'id', ['Alice Example', 'born 1 February 1976'])
  const policy = await addPdf(alice, 'Household insurance.pdf', 'policy', ['Policy 4711-0815'])
  const ask = ['--from', 'Alice', '--purpose', 'to decide on application 4711']
  await employer.json('request', 'create', 'Your highest degree', ...ask)
  const link = ['--link', '--uses', '10', '--expires', '1d', '--purpose', 'to look at']
  return (await alice.json<LinkFacts & { url: string }>('share', 'create', policy.id, ...link)).url
}

async function start(): Promise<void> {
  const relay = await party('Relay')
  const { p2p } = await relay.up('--relay')
  const others = await Promise.all(['University', 'Alice', 'Employer'].map(party))
  await Promise.all(others.map((other) => other.init()))
  const bootstrap = p2p.flatMap((address) => ['--bootstrap', address])
  await Promise.all(others.map((other) => other.up('--public', '127.0.0.1:0', ...bootstrap)))
  const [university, alice, employer] = others
  if (university === undefined || alice === undefined || employer === undefined) return
  const link = await seed(university, alice, employer)
  console.log('\nThree agents and a relay run on this machine. Each address opens its page once:\n')
  for (const { name, ready } of others) console.log(`  ${name.padEnd(11)} ${ready?.open}`)
  console.log(`\n  relay       ${p2p.join(' ')}`)
  console.log(`  share link  ${link}`)
  console.log(`\nPassphrase of all three: ${PASSPHRASE}`)
  console.log(
    'Look into the inboxes of Alice and the employer. Ctrl-C stops and removes everything.'
  )
}

async function stop(): Promise<void> {
  await Promise.all(parties.map((one) => one[Symbol.asyncDispose]()))
}

const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
})
// Keeps the process up until the signal; the children alone would, but say nothing.
const alive = setInterval(() => undefined, 60_000)
try {
  await start()
  await interrupted
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  clearInterval(alive)
  await stop()
}
