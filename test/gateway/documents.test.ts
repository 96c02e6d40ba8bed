/** Documents over HTTP: adding, reading, changing. */
import { expect } from 'chai'
import { TestGateway } from './harness.ts'

describe('gateway: documents', () => {
  it('adds a raw body and gives the same bytes back', async () => {
    await using test = await TestGateway.open()
    const bytes = Buffer.alloc(300_000, 'elocker')
    const id = await test.add('report.pdf', bytes)

    const answer = await test.call(`/api/v1/documents/${id}/content`)

    expect(answer.status).to.equal(200)
    expect(answer.body.equals(bytes)).to.equal(true)
  })
})
