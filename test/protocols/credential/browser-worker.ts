/**
 * A thread that has what a browser has, and nothing of Node: no Buffer, no process, no way to a node: module.
 * Reads SD-JWTs and status lists with \@noble, as the page does.
 */
import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { ProofCrypto } from '../../../protocols/credential/crypto.ts'

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (found.url.startsWith('node:')) throw new Error(`${context.parentURL} imports ${specifier}`)
    return found
  }
})

const port = parentPort
if (port === null) throw new Error('not a worker')
const { ed25519 } = await import('@noble/curves/ed25519.js')
const { sha256, sha384 } = await import('@noble/hashes/sha2.js')
const { p256 } = await import('@noble/curves/nist.js')
const { readSdJwt, presentSdJwt } = await import('../../../protocols/credential/sd-jwt.ts')
const { readStatus } = await import('../../../protocols/credential/status-list.ts')

/** What the test asks for. */
export interface Asked {
  readonly sdJwt: string
  readonly publicKey: Uint8Array
  readonly disclose: readonly string[]
  readonly entry: unknown
  readonly list: unknown
}

const crypto: ProofCrypto = {
  sha256,
  sha384,
  verifyEd25519: (key, message, signature) =>
    ed25519.verify(signature, message, key, { zip215: false }),
  verifyP256: (_key, message, signature) => p256.verify(signature, message, new Uint8Array(33))
}

for (const name of ['Buffer', 'process', 'global', 'setImmediate']) {
  Reflect.deleteProperty(globalThis, name)
}
const { sdJwt, publicKey, disclose, entry, list } = workerData as Asked
const outcome = await readSdJwt(presentSdJwt(sdJwt, { disclose }, crypto), {
  key: async () => ({ ok: true, publicKey }),
  crypto
})
const status = await readStatus(entry, list)
port.postMessage({ outcome, status, bare: !('Buffer' in globalThis) })
