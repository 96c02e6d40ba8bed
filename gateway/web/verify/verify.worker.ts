/**
 * Reads and judges what a stranger brings, away from the page: whatever it is made to be, it can keep only
 * this worker busy, and the page ends it (desk.ts).
 *
 * @module
 */
import type { Reading } from '../credential/read.ts'
import type { Verification } from '../wire.ts'

/** Pixels as a canvas gives them: RGBA, row by row. */
export interface Picture {
  readonly data: Uint8ClampedArray<ArrayBuffer>
  readonly width: number
  readonly height: number
}

export type Order = { readonly number: number } & (
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'picture'; readonly picture: Picture }
  | { readonly kind: 'judge'; readonly text: string; readonly now: Date }
)

export type Reply = { readonly number: number } & (
  | { readonly kind: 'read'; readonly reading: Reading }
  | { readonly kind: 'judged'; readonly verification: Verification }
  | { readonly kind: 'failed'; readonly message: string }
)

addEventListener('message', ({ data: order }: MessageEvent<Order>) => {
  const { number } = order
  carryOut(order).then(
    (reply) => postMessage({ number, ...reply }),
    (thrown: unknown) => postMessage({ number, kind: 'failed', message: String(thrown) })
  )
})

type Answer =
  | { readonly kind: 'read'; readonly reading: Reading }
  | { readonly kind: 'judged'; readonly verification: Verification }

async function carryOut(order: Order): Promise<Answer> {
  if (order.kind === 'judge') {
    // The one part that needs JSON Schema and RDF, which are most of what this worker can load.
    const { judgeHere } = await import('../credential/judge-here.ts')
    return { kind: 'judged', verification: await judgeHere(order.text, order.now) }
  }
  const { readBytes, readText } = await import('../credential/read.ts')
  if (order.kind === 'bytes') return { kind: 'read', reading: await readBytes(order.bytes) }
  if (order.kind === 'text') return { kind: 'read', reading: await readText(order.text) }
  const { default: jsQR } = await import('jsqr')
  const found = jsQR(order.picture.data, order.picture.width, order.picture.height)
  return found === null || found.data === ''
    ? { kind: 'read', reading: { kind: 'nothing', why: 'no-code' } }
    : { kind: 'read', reading: await readText(found.data) }
}
