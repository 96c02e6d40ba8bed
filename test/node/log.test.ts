import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import { openLog, withoutSecrets } from '../../node/log.ts'

function lines(): { write: (line: string) => void; read: () => unknown[] } {
  const written: string[] = []
  return {
    write: (line) => void written.push(line),
    read: () => written.map((line) => JSON.parse(line))
  }
}

describe('log', () => {
  it('writes an event, its component and its fields, one line each', () => {
    const to = lines()
    const log = openLog({ level: 'info', to })
    log.forComponent('elocker:sharing').info('grant-given', { grant: 'abc', level: 'trick' })
    log.debug('unseen')
    expect(to.read()).to.have.length(1)
    expect(to.read()[0]).to.deep.include({
      level: 'info',
      component: 'elocker:sharing',
      event: 'grant-given',
      fields: { grant: 'abc', level: 'trick' }
    })
  })

  it('cuts secrets out by field name and by what a text looks like', () => {
    const clean = JSON.stringify(
      withoutSecrets({
        passphrase: 'hunter2',
        fileKey: 'hunter2',
        nested: [{ words: ['hunter2'], authorization: 'hunter2' }],
        name: 'hunter2',
        bytes: Buffer.from('hunter2'),
        url: 'https://h/s/1#hunter2',
        query: '/s/1/content?ticket=hunter2&x=1',
        header: 'Bearer hunter2',
        text2: 'AGE-SECRET-KEY-PQ-1HUNTER2',
        error: new LockerError('peer-refused', 'GET https://h/s/1#hunter2 failed', {
          cause: new Error('token=hunter2')
        })
      })
    )
    expect(clean).to.not.match(/hunter2/i)
    expect(clean).to.contain('peer-refused')
  })

  it('bounds depth, length and number of what a peer may have made up', () => {
    const endless: Record<string, unknown> = { list: Array.from({ length: 1000 }, () => 1) }
    endless['self'] = endless
    endless['long'] = 'x'.repeat(1_000_000)
    expect(JSON.stringify(withoutSecrets(endless)).length).to.be.lessThan(10_000)
    const odd = '{"__proto__":{"admin":true},"constructor":1}'
    expect(JSON.stringify(withoutSecrets(JSON.parse(odd)))).to.equal(odd)
    expect({}).to.not.have.property('admin')
  })
})
