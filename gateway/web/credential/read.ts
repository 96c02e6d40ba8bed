/**
 * From what somebody brings — the bytes of a PDF or a text — to the text that is judged and what it says.
 *
 * @module
 */
import { bytesToHex } from '@noble/hashes/utils.js'
import { readCompact } from '../../../protocols/credential/compact.ts'
import {
  CREDENTIAL_BYTES_MAX,
  isJsonObject,
  type JsonObject
} from '../../../protocols/credential/json.ts'
import { credentialInPdf } from '../../../protocols/credential/pdf.ts'
import { peekSdJwt } from '../../../protocols/credential/sd-jwt.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { parseJsonBounded } from '../../../protocols/message.ts'
import { webProofCrypto } from '../proof-crypto.ts'
import {
  contentOfClaims,
  contentOfCredential,
  type CredentialContent,
  type Labels
} from './content.ts'

/** Most credentials of one presentation; the verdict refuses more (protocols/credential/verdict.ts). */
const PRESENTED_MAX = 16

/** Why there is nothing to judge; each has words of its own in the language file. */
export type NothingWhy =
  | 'empty'
  | 'too-large'
  | 'no-credential' // neither JSON nor an SD-JWT nor our QR text
  | 'pdf-without' // a PDF without a credential attached
  | 'pdf-several'
  | 'pdf-unreadable'
  | 'code-damaged'
  | 'no-code' // a picture without a QR code

export type Reading =
  | {
      readonly kind: 'credential'
      /** What is judged: JSON or a compact SD-JWT. */
      readonly text: string
      /** One for each credential; none when they cannot be read, which the verdict then says. */
      readonly contents: readonly CredentialContent[]
      /** SHA-256 of `text`, hex, so that a receipt names what it is about. */
      readonly digest: string
    }
  /** The code is an address, as on certificates too long for a code. */
  | { readonly kind: 'address'; readonly url: string }
  | { readonly kind: 'nothing'; readonly why: NothingWhy; readonly detail?: string }

const PDF_MARK = '%PDF-'
/** Producers may put up to a kilobyte before the mark (ISO 32000-1, annex H.3.4.1). */
const PDF_MARK_WITHIN = 1_024

/** Reads the bytes of a file that is no picture. */
export async function readBytes(bytes: Uint8Array): Promise<Reading> {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, PDF_MARK_WITHIN))
  if (!start.includes(PDF_MARK)) {
    if (bytes.length > CREDENTIAL_BYTES_MAX) return { kind: 'nothing', why: 'too-large' }
    return readText(new TextDecoder().decode(bytes))
  }
  const found = await credentialInPdf(bytes)
  if (found.ok) return readText(new TextDecoder().decode(found.bytes))
  const why =
    found.code === 'no-credential'
      ? 'pdf-without'
      : found.code === 'several-credentials'
        ? 'pdf-several'
        : 'pdf-unreadable'
  return { kind: 'nothing', why, detail: found.reason }
}

/** Reads a text: typed, pasted, or out of a QR code. */
export async function readText(given: string): Promise<Reading> {
  const text = given.trim()
  if (text === '') return { kind: 'nothing', why: 'empty' }
  if (text.length > CREDENTIAL_BYTES_MAX) return { kind: 'nothing', why: 'too-large' }
  if (text.startsWith('ELC1:')) {
    const read = await readCompact(text)
    if (!read.ok) return { kind: 'nothing', why: 'code-damaged', detail: read.reason }
    return credentialOf(JSON.stringify(read.credential))
  }
  if (/^https?:\/\/\S{1,2000}$/i.test(text)) return { kind: 'address', url: text }
  if (text.startsWith('{') || /^[\w-]+\.[\w-]+\.[\w-]*~/.test(text)) return credentialOf(text)
  // A plain JWT goes on as well: the verdict says that it is one, and not read here.
  if (/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return credentialOf(text)
  return { kind: 'nothing', why: 'no-credential' }
}

/** What the text of a credential or presentation says; none for what cannot be read. */
export function contentsOf(text: string, labels?: Labels): readonly CredentialContent[] {
  if (!text.trimStart().startsWith('{')) {
    const content = contentOfSdJwt(text, labels)
    return content === undefined ? [] : [content]
  }
  const document = documentIn(text)
  if (document === undefined) return []
  if (![document['type']].flat().includes('VerifiablePresentation'))
    return [contentOfCredential(document, labels)]
  return [document['verifiableCredential'] ?? []]
    .flat()
    .slice(0, PRESENTED_MAX)
    .flatMap((one) => {
      // In their places: verdicts are matched by them.
      if (!isJsonObject(one)) return [EMPTY]
      const { id } = one
      const envelope = typeof id === 'string' && id.startsWith('data:') ? id : undefined
      return envelope === undefined
        ? [contentOfCredential(one, labels)]
        : [contentOfSdJwt(envelope.slice(envelope.indexOf(',') + 1), labels) ?? EMPTY]
    })
}

const EMPTY: CredentialContent = {
  title: '',
  issuerName: undefined,
  validFrom: undefined,
  validUntil: undefined,
  types: [],
  fields: [],
  cut: false
}

function contentOfSdJwt(text: string, labels?: Labels): CredentialContent | undefined {
  const peeked = peekSdJwt(text, webProofCrypto)
  return peeked.ok ? contentOfClaims(peeked.claims, labels) : undefined
}

function credentialOf(text: string): Reading {
  const digest = bytesToHex(webProofCrypto.sha256(new TextEncoder().encode(text)))
  return { kind: 'credential', text, contents: contentsOf(text), digest }
}

/** The object of a JSON text, parsed as the verdict does it; undefined for what that refuses. */
export function documentIn(text: string): JsonObject | undefined {
  try {
    const value = parseJsonBounded(new TextEncoder().encode(text), {
      bytesMax: CREDENTIAL_BYTES_MAX
    })
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return undefined
  }
}
