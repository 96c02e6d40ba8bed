/**
 * `elocker doctor`: looks for faults that a person can mend, and says how.
 *
 * @module
 */
import { access, constants, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckReport } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { openOffline } from '../offline.ts'
import { systemCode } from '../durable-files.ts'
import { connect, running, type Client } from './client.ts'
import type { NodeStatus } from './locker.ts'
import { EXIT, messageOf } from './outcome.ts'
import { printable, say, size, type Voice } from './output.ts'

/** Oldest Node that runs the source: TypeScript's types are stripped by Node itself. */
const NODE_VERSION_MIN = [24, 15] as const

/** Less free space than this is a warning, bytes: one large document and LevelDB's compaction fit. */
const FREE_BYTES_MIN = 1024 ** 3

/** Accepting comes last: it also lets the blocks of lost records be collected. */
const LOSS_ADVICE =
  'restore the locker from a backup into another home; without one, live with the loss: elocker doctor --accept-loss'

/** One thing looked at. */
interface Finding {
  readonly what: string
  readonly outcome: 'good' | 'warning' | 'fault'
  readonly detail: string
  /** What to do about it. */
  readonly advice?: string
}

/** Looks at the machine, the home, and the running agent or the home's own data; exit code 1 when there is a fault. */
export async function doctor(voice: Voice, home: string): Promise<void> {
  const findings: Finding[] = [nodeVersion(), ...(await folder(home))]
  if (await running(home)) findings.push(...(await ofAgent(await connect(home))))
  else findings.push(...(await ofHome(home)))
  const marks = { good: 'ok  ', warning: 'warn', fault: 'FAIL' } as const
  const text = findings
    .map(({ what, outcome, detail, advice }) => {
      const line = `${marks[outcome]}  ${what}: ${printable(detail)}`
      return advice === undefined ? line : `${line}\n        ${advice}`
    })
    .join('\n')
  say(voice, { findings }, text)
  if (findings.some(({ outcome }) => outcome === 'fault')) process.exitCode = EXIT.failed
}

/** Takes what is lost of the records as lost. What still lay in the store for them can then be collected. */
export async function acceptLoss(client: Client, voice: Voice): Promise<void> {
  const { lost } = await client.call<{ lost: number }>('/api/v1/node/accept-loss', {
    method: 'POST'
  })
  say(
    voice,
    { lost },
    lost === 0
      ? 'nothing is lost'
      : `${lost} damaged or missing: accepted as lost, and written into the activity`
  )
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const fits =
    major > NODE_VERSION_MIN[0] || (major === NODE_VERSION_MIN[0] && minor >= NODE_VERSION_MIN[1])
  const finding = { what: 'Node', detail: process.versions.node }
  return fits
    ? { ...finding, outcome: 'good' }
    : { ...finding, outcome: 'fault', advice: `use Node ${NODE_VERSION_MIN.join('.')} or later` }
}

async function folder(home: string): Promise<Finding[]> {
  try {
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      const advice = 'create a locker with: elocker init, or start the agent with: elocker up'
      return [{ what: 'home', outcome: 'warning', detail: `${home} does not exist yet`, advice }]
    }
    const detail = `${home} cannot be used: ${messageOf(error)}`
    return [{ what: 'home', outcome: 'fault', detail, advice: 'give it back to this user' }]
  }
  const { mode } = await stat(home)
  const open = (mode & 0o077) !== 0
  const { bavail, bsize } = await statfs(home)
  const free = bavail * bsize
  return [
    {
      what: 'home',
      outcome: open ? 'warning' : 'good',
      detail: `${home}, mode ${(mode & 0o777).toString(8)}`,
      ...(open ? { advice: `others can look in; close it with: chmod 700 ${home}` } : {})
    },
    {
      what: 'space',
      outcome: free < FREE_BYTES_MIN ? 'warning' : 'good',
      detail: `${size(free)} free`,
      ...(free < FREE_BYTES_MIN ? { advice: 'free some, or move the home to a larger disk' } : {})
    }
  ]
}

async function ofAgent(client: Client): Promise<Finding[]> {
  const node = await client.call<NodeStatus>('/api/v1/node')
  const findings: Finding[] = [
    {
      what: 'agent',
      outcome: 'good',
      detail: `runs at ${node.addresses.private}, the locker is ${node.state}`
    },
    {
      what: 'network',
      outcome: node.addresses.p2p.length === 0 ? 'warning' : 'good',
      detail: `${node.peers} peers, ${node.addresses.p2p.length} addresses`,
      ...(node.addresses.p2p.length === 0
        ? { advice: 'others cannot reach this agent; see --p2p and --bootstrap' }
        : {})
    },
    {
      what: 'records',
      outcome: node.damage === 0 ? 'good' : 'fault',
      detail: node.damage === 0 ? 'complete' : `${node.damage} damaged or missing`,
      ...(node.damage === 0 ? {} : { advice: LOSS_ADVICE })
    }
  ]
  if (node.recoveryConfirmed === false) {
    const advice = 'make a kit whose words you have on paper: elocker recovery create'
    findings.push({
      what: 'recovery kit',
      outcome: 'warning',
      detail: 'never confirmed',
      advice
    })
  }
  if (node.state === 'open') findings.push(await blocks(client))
  return findings
}

async function blocks(client: Client): Promise<Finding> {
  const report = await client.call<CheckReport>('/api/v1/documents/check', {
    method: 'POST',
    json: {}
  })
  const { damaged } = report
  const detail = `${report.documents} documents, ${report.blocks} blocks, ${size(report.bytes)}`
  return damaged.length === 0
    ? { what: 'documents', outcome: 'good', detail: `${detail}, all sound` }
    : {
        what: 'documents',
        outcome: 'fault',
        detail: `${detail}; damaged: ${damaged.map(({ id, name }) => `${id} ${name}`).join(', ')}`,
        advice: 'see which blocks with: elocker check; restore them from a backup or the sender'
      }
}

async function ofHome(home: string): Promise<Finding[]> {
  const exists = await stat(join(home, 'vault')).catch(() => undefined)
  if (exists === undefined) return []
  try {
    await using offline = await openOffline(home)
    const slots = await offline.agent.vault.slots()
    const broken = slots.filter(({ damaged }) => damaged !== undefined)
    const findings: Finding[] = [
      { what: 'agent', outcome: 'good', detail: 'not running; start it with: elocker up' },
      {
        what: 'locker',
        outcome: 'good',
        detail:
          slots.length === 0 ? 'none yet' : `opens by ${slots.map(({ kind }) => kind).join(', ')}`
      }
    ]
    for (const { id, kind, damaged } of broken) {
      findings.push({
        what: 'slot',
        outcome: 'fault',
        detail: `${kind} ${id}: ${damaged ?? ''}`,
        advice: 'open the locker another way, then set a new passphrase or make a new recovery kit'
      })
    }
    return findings
  } catch (error) {
    if (!(error instanceof LockerError)) throw error
    return [{ what: 'locker', outcome: 'fault', detail: `${error.code}: ${error.message}` }]
  }
}
