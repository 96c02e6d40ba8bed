/**
 * `npm run bench`: the figures of docs/benchmarks.md, measured in this run, each beside its limit or another
 * implementation of the same job. Loopback and temporary folders only; ends by itself in about three minutes.
 *
 *     npm run bench -- [--json] [--only store] [--only pull,messages]
 */
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { largeRows, openingRows, smallRows } from './documents.ts'
import { envelopeRows } from './envelopes.ts'
import { messageRows, pullRows } from './network.ts'
import type { Row } from './row.ts'
import { sealingRows } from './sealing.ts'
import { credentialRows } from './credentials.ts'
import { sdJwtRows } from './sd-jwt.ts'
import { startRows } from './start.ts'
import { statusListRows } from './status-list.ts'
import type { Machine } from './table.ts'
import { jsonOf, selected, tableOf } from './table.ts'

/** In the order they are measured. */
const GROUPS: ReadonlyMap<string, () => Promise<readonly Row[]>> = new Map([
  ['start', startRows],
  ['seal', sealingRows],
  ['store', largeRows],
  ['pull', pullRows],
  ['envelopes', envelopeRows],
  ['messages', messageRows],
  ['credentials', credentialRows],
  ['sd-jwt', sdJwtRows],
  ['status-list', statusListRows],
  ['small', smallRows],
  ['open', openingRows]
])

function machine(): Machine {
  const processors = cpus()
  return {
    date: new Date().toISOString(),
    node: process.version,
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    load: loadavg()[0] ?? Number.NaN
  }
}

async function bench(): Promise<void> {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, only: { type: 'string', multiple: true } }
  })
  const names = selected([...GROUPS.keys()], values.only ?? [])
  const measuredOn = machine()
  const rows: Row[] = []
  for (const name of names) {
    process.stderr.write(`${name} …\n`)
    rows.push(...((await GROUPS.get(name)?.()) ?? []))
    // What one group leaves behind must not be collected during the next.
    globalThis.gc?.()
  }
  const { node, processor, cores, load } = measuredOn
  const heading = `${cores} × ${processor}, Node ${node}, load ${load.toFixed(2)}`
  console.log(values.json === true ? jsonOf(rows, measuredOn) : `${heading}\n\n${tableOf(rows)}`)
}

await bench()
