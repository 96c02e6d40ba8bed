/** A node as its owner starts it: a process of its own on an empty home. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Party } from '../scenarios/processes.ts'
import type { Row } from './row.ts'
import { median, seconds } from './row.ts'

/** Starts; the median counts. */
const ROUNDS = 3

/** From spawning `elocker up` to the last byte of the page, and the resident memory then, as `ps` says. */
export async function startRows(): Promise<readonly Row[]> {
  const times: number[] = []
  const memory: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await using party = await Party.create('Bench')
    times.push(await seconds(() => firstPage(party)))
    memory.push(await residentMib(party.pid))
    await party.stop()
  }
  return [
    {
      what: 'process start to first page',
      unit: 's',
      ours: median(times),
      asked: { value: 3, bound: 'at most' }
    },
    {
      what: 'resident memory then',
      unit: 'MiB',
      ours: median(memory),
      asked: { value: 200, bound: 'at most' }
    }
  ]
}

async function firstPage(party: Party): Promise<void> {
  const ready = await party.up()
  const answer = await fetch(ready.private)
  await answer.arrayBuffer()
  if (answer.status !== 200) throw new Error(`the page answered ${answer.status}`)
}

async function residentMib(pid: number | undefined): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
  return Number(stdout.trim()) / 1024
}
