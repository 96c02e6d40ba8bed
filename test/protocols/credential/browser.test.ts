import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import {
  newBitstring,
  setStatus,
  statusListCredential
} from '../../../protocols/credential/status-list.ts'
import type { Asked } from './browser-worker.ts'
import { CLAIMS, issued, issuer } from './sd-jwt-parties.ts'

describe('Credentials without Node', () => {
  it('presents and verifies an SD-JWT and reads a status list with nothing of Node', async () => {
    const id = 'https://uni.example/status-lists/3'
    const asked: Asked = {
      sdJwt: issued(),
      publicKey: new Uint8Array(issuer.publicKey),
      disclose: ['/name', '/languages/1'],
      entry: {
        type: 'BitstringStatusListEntry',
        statusPurpose: 'revocation',
        statusListIndex: '94567',
        statusListCredential: id
      },
      list: await statusListCredential({
        id,
        issuer: 'did:web:uni.example',
        purpose: 'revocation',
        bits: setStatus(newBitstring(), 94_567, true),
        validFrom: new Date('2026-11-23T10:00:00Z'),
        ttlMs: 60_000
      })
    }
    const worker = new Worker(new URL('./browser-worker.ts', import.meta.url), {
      workerData: asked
    })
    try {
      const [{ outcome, status, bare }] = await once(worker, 'message')
      expect(bare).to.equal(true)
      expect(outcome).to.include({ ok: true, vct: 'https://uni.example/marksheet' })
      expect(outcome.claims).to.deep.include({
        name: CLAIMS['name'],
        languages: CLAIMS['languages']
      })
      expect(status).to.include({ ok: true, set: true, index: 94_567 })
    } finally {
      await worker.terminate()
    }
  })
})
