import { expect } from 'chai'
import type { Row } from './row.ts'
import { each, median } from './row.ts'
import type { Machine } from './table.ts'
import { jsonOf, selected, tableOf, verdictOf } from './table.ts'

const fast: Row = {
  what: 'fetch a file',
  unit: 'MiB/s',
  ours: 120.4,
  asked: { value: 100, bound: 'at least' },
  peer: { what: 'another', value: 60.2, asked: 1.5 }
}
const slow: Row = {
  what: 'start',
  unit: 's',
  ours: 3.25,
  asked: { value: 3, bound: 'at most' },
  limit: { what: 'an empty process', value: 0.05 }
}
const machine: Machine = {
  date: '2026-01-01T00:00:00.000Z',
  node: 'v24.0.0',
  processor: 'a processor',
  cores: 2,
  load: 0.5
}

describe('bench', () => {
  it('judges a figure by its target and by what stands beside it', () => {
    expect(verdictOf(fast)).to.equal('met')
    expect(verdictOf(slow)).to.equal('missed: target')
    expect(verdictOf({ ...fast, ours: 90 })).to.equal('missed: target, another × 1.5')
    expect(verdictOf({ ...fast, ours: 100, peer: { what: 'another', value: 50 } })).to.equal('met')
    expect(verdictOf({ ...fast, ours: Number.NaN })).to.equal('missed: target, another × 1.5')
    expect(verdictOf({ what: 'a figure', unit: '/s', ours: 1 })).to.equal('-')
    const beside = { what: 'parts', value: 10, asked: 0.6 }
    const { asked: _, peer: __, ...bare } = fast
    expect(verdictOf({ ...bare, ours: 6, limit: beside })).to.equal('met')
    expect(verdictOf({ ...bare, ours: 5.9, limit: beside })).to.equal('missed: parts × 0.6')
  })

  it('aligns the columns of its table', () => {
    expect(tableOf([fast, slow]).split('\n')).to.deep.equal([
      'what             figure       target  limit or peer                 ratio  verdict',
      'fetch a file  120 MiB/s  ≥ 100 MiB/s  another 60.2           2.00 (≥ 1.5)  met',
      'start            3.25 s        ≤ 3 s  an empty process 0.05         65.00  missed: target'
    ])
  })

  it('prints the same as JSON, with ratios, verdicts and the machine', () => {
    expect(JSON.parse(jsonOf([fast, slow], machine))).to.deep.equal({
      machine,
      rows: [
        {
          ...fast,
          peer: { what: 'another', value: 60.2, asked: 1.5, ratio: 120.4 / 60.2 },
          verdict: 'met'
        },
        {
          ...slow,
          limit: { what: 'an empty process', value: 0.05, ratio: 65 },
          verdict: 'missed: target'
        }
      ]
    })
  })

  it('measures the rows asked for, in their own order, and all when none is named', () => {
    const names = ['start', 'store', 'pull']
    expect(selected(names, [])).to.deep.equal(names)
    expect(selected(names, ['pull,start'])).to.deep.equal(['start', 'pull'])
    expect(selected(names, ['pull', 'pull', ' store'])).to.deep.equal(['store', 'pull'])
    expect(() => selected(names, ['pul'])).to.throw('no rows are called pul')
    expect(() => selected(names, [''])).to.throw('no rows are called ')
  })

  it('takes the median, and works on so many items at a time', async () => {
    expect(median([5, 1, 3])).to.equal(3)
    expect(median([])).to.be.NaN
    const running = { now: 0, most: 0 }
    const done: number[] = []
    await each([1, 2, 3, 4, 5], 2, async (item) => {
      running.most = Math.max(running.most, ++running.now)
      await Promise.resolve()
      done.push(item)
      running.now--
    })
    expect(done).to.have.members([1, 2, 3, 4, 5])
    expect(running.most).to.equal(2)
  })
})
