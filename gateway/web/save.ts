/**
 * Saving what the browser holds, through its own download: the name is cleaned, the bytes go nowhere else.
 *
 * @module
 */
import { saveNameOf } from './file-kinds.ts'

/** How long the blob's address is kept for the browser to begin reading, milliseconds. */
const KEPT_MS = 60_000

/** Offers `blob` for saving as `name`. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const anchor = document.createElement('a')
  anchor.href = url
  anchor.download = saveNameOf(name)
  anchor.click()
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS)
}
