/**
 * pdf.js, loaded when the first PDF is opened. Pages are drawn on canvases: no markup of the document
 * reaches the page, its scripts are not run, its links are not followed.
 *
 * @module
 */
// oxlint-disable-next-line import/default -- Vite gives the address of the built file
import workerUrl from 'pdfjs-dist/build/pdf.worker.min.mjs?url'
import { GlobalWorkerOptions, type PDFDocumentProxy, getDocument } from 'pdfjs-dist'

export type { PDFDocumentProxy } from 'pdfjs-dist'

/** Decoders for scanned pages, tables for old character sets, and the 14 fonts a PDF need not carry. */
const FILES = import.meta.glob<string>(
  [
    '../../../node_modules/pdfjs-dist/wasm/{jbig2,openjpeg}.wasm',
    '../../../node_modules/pdfjs-dist/cmaps/*.bcmap',
    '../../../node_modules/pdfjs-dist/standard_fonts/*.{pfb,ttf}'
  ],
  { query: '?url', import: 'default', eager: true }
)

const urls = new Map(
  Object.entries(FILES).map(([path, url]) => [path.slice(path.lastIndexOf('/') + 1), url])
)

/** Finds pdf.js's own files under the hashed names the build gave them. */
class HashedFiles {
  async fetch({ filename }: { filename: string }): Promise<Uint8Array> {
    const url = urls.get(filename)
    if (url === undefined)
      throw new Error(`pdf.js asked for ${filename}, which is not part of the page`)
    const response = await fetch(url)
    if (!response.ok) throw new Error(`${filename} answered ${response.status}`)
    return new Uint8Array(await response.arrayBuffer())
  }
}

/** Opens a PDF held whole. Rejects when it is none, is damaged, or wants a password. */
export async function openPdf(blob: Blob): Promise<PDFDocumentProxy> {
  GlobalWorkerOptions.workerSrc = workerUrl
  return getDocument({
    data: new Uint8Array(await blob.arrayBuffer()),
    BinaryDataFactory: HashedFiles,
    useWorkerFetch: false,
    enableXfa: false
  }).promise
}
