/**
 * A public listener as a verifier runs it — the real gateway and verifier, over a university whose
 * documents and lists are at hand — and the pictures a camera or a file would give of its codes.
 *
 * @module
 */
import { deflateSync } from 'node:zlib'
import { encode } from 'uqr'
import { createVerifier } from '../../agent/verification.ts'
import { LockerError } from '../../agent/errors.ts'
import { createGateway } from '../../gateway/server.ts'
import { resolveDidKey } from '../../protocols/did/key.ts'
import { FakeClock } from '../clock.ts'
import { FakeAgent } from '../gateway/fake-agent.ts'
import { Served, nodeFacts, silent } from '../gateway/harness.ts'
import {
  ISSUER,
  NOW,
  REVOCATION,
  SCHEMA_URL,
  SUSPENSION,
  issuerDocument,
  listOf,
  schema
} from '../protocols/credential/issuing-world.ts'
import { pngOf } from './documents.ts'

export interface VerifierWorld extends AsyncDisposable {
  readonly url: string
  /** What the university's lists say from now on. */
  revoked: boolean
  suspended: boolean
  /** Whether the university's servers answer. */
  online: boolean
}

/** Starts the listener on a free port; `pageFolder`: what `vite build` wrote. */
export async function startVerifierWorld(pageFolder: string): Promise<VerifierWorld> {
  const clock = new FakeClock(NOW.toISOString())
  const agent = new VerifyingAgent(clock)
  const gateway = createGateway({
    agent,
    node: nodeFacts('http://localhost', 'http://localhost'),
    runToken: 'run-token-of-this-process',
    clock,
    random: (sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)),
    logger: silent,
    pageFolder
  })
  const served = await Served.open(gateway.public)
  return Object.assign(agent.world, {
    url: `http://localhost:${served.port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      gateway.close()
      await served[Symbol.asyncDispose]()
    }
  })
}

class VerifyingAgent extends FakeAgent {
  readonly world = { revoked: false, suspended: false, online: true }
  override readonly verification: FakeAgent['verification']

  constructor(clock: FakeClock) {
    super(clock)
    // Made anew for each question, so that no list is remembered from the state before.
    this.verification = { verify: (shown, options) => this.#fresh(clock).verify(shown, options) }
  }

  #fresh(clock: FakeClock): FakeAgent['verification'] {
    const { world } = this
    return createVerifier({
      clock,
      resolve: async (did) => {
        if (did.startsWith('did:key:')) return resolveDidKey(did)
        if (!world.online || did !== ISSUER)
          throw new LockerError('did-unresolvable', `${did} does not answer`)
        return issuerDocument
      },
      fetchJson: async (url) => {
        if (!world.online) throw new LockerError('peer-unreachable', 'no connection')
        const created = clock.now()
        if (url === SCHEMA_URL) return Buffer.from(JSON.stringify(schema))
        const list =
          url === REVOCATION
            ? await listOf('revocation', { set: world.revoked, created })
            : url === SUSPENSION
              ? await listOf('suspension', { set: world.suspended, created })
              : {}
        return Buffer.from(JSON.stringify(list))
      }
    })
  }
}

/** A code as grey values, black on white with its quiet zone, `scale` pixels a module. */
function codeOf(text: string, scale: number): { readonly side: number; readonly grey: Uint8Array } {
  const { data, size } = encode(text, { ecc: 'L', border: 4 })
  const side = size * scale
  const grey = new Uint8Array(side * side)
  for (let y = 0; y < side; y += 1)
    for (let x = 0; x < side; x += 1)
      grey[y * side + x] = data[Math.floor(y / scale)]?.[Math.floor(x / scale)] === true ? 0 : 255
  return { side, grey }
}

/** A PNG of a code. */
export function codePicture(text: string, scale = 6): Buffer {
  const { side, grey } = codeOf(text, scale)
  return pngOf(side, side, (x, y) => {
    const value = grey[y * side + x] ?? 255
    return [value, value, value]
  })
}

/** A film of one frame that shows a code, as Chromium takes for a camera (YUV4MPEG2, 4:2:0). */
export function codeFilm(text: string, width: number, height: number): Buffer {
  const { side } = codeOf(text, 1)
  const scale = Math.floor(Math.min(width, height) / side)
  const { side: drawn, grey } = codeOf(text, scale)
  const luma = new Uint8Array(width * height).fill(235)
  const left = Math.floor((width - drawn) / 2)
  const top = Math.floor((height - drawn) / 2)
  for (let y = 0; y < drawn; y += 1)
    for (let x = 0; x < drawn; x += 1)
      luma[(top + y) * width + left + x] = grey[y * drawn + x] === 0 ? 16 : 235
  const chroma = new Uint8Array((width * height) / 2).fill(128)
  return Buffer.concat([
    Buffer.from(`YUV4MPEG2 W${width} H${height} F5:1 Ip A1:1 C420jpeg\nFRAME\n`),
    luma,
    chroma
  ])
}

/** A PDF with a credential attached (ISO 32000-1 §7.11.4), compressed as usual. */
export function pdfWith(credential: string): Buffer {
  const packed = deflateSync(Buffer.from(credential)).toString('latin1')
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(credential.json) 4 0 R] >> >> /AF [4 0 R] >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>',
    '<< /Type /Filespec /F (credential.json) /UF (credential.json) /AFRelationship /Source /EF << /F 5 0 R >> >>',
    `<< /Type /EmbeddedFile /Subtype /application#2Fvc+json /Filter /FlateDecode /Length ${packed.length} >>\nstream\n${packed}\nendstream`
  ]
  let file = '%PDF-1.7\n'
  const offsets = objects.map((object, place) => {
    const offset = file.length
    file += `${place + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  return Buffer.from(
    `${file}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`,
    'latin1'
  )
}
