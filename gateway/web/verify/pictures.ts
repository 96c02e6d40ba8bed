/**
 * Pictures as pixels: of an uploaded file, and of what a camera sees.
 *
 * @module
 */
import type { Picture } from './verify.worker.ts'

/**
 * Longest sides a photograph is looked at in, pixels: most codes are found in the first; a small code on a
 * whole page needs more, a noisy one less.
 */
export const SIDES: readonly number[] = [1_400, 2_800, 700]

/** Longest side of a camera's frame: a code held before it fills most of it. */
const FRAME_SIDE = 1_000

/** Whether the page decodes a file of this type as a picture. */
export function isPicture(file: Blob): boolean {
  return /^image\/(?!svg)/.test(file.type)
}

/** The pixels of a file, at most `side` long; undefined when the browser cannot read it as a picture. */
export async function pictureOf(file: Blob, side: number): Promise<Picture | undefined> {
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file)
  } catch {
    // What makes it unreadable is the browser's to know; the page says that it is.
    return undefined
  }
  try {
    return pixels(bitmap, bitmap.width, bitmap.height, side)
  } finally {
    bitmap.close()
  }
}

/** The pixels a video shows now; undefined before its first frame. */
export function frameOf(video: HTMLVideoElement): Picture | undefined {
  const { videoWidth, videoHeight } = video
  return videoWidth === 0 ? undefined : pixels(video, videoWidth, videoHeight, FRAME_SIDE)
}

function pixels(
  source: CanvasImageSource,
  width: number,
  height: number,
  side: number
): Picture | undefined {
  const scale = Math.min(1, side / Math.max(width, height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, Math.round(width * scale))
  canvas.height = Math.max(1, Math.round(height * scale))
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (context === null) return undefined
  // A transparent ground would be black, and so would the code on it.
  context.fillStyle = 'white'
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(source, 0, 0, canvas.width, canvas.height)
  const image = context.getImageData(0, 0, canvas.width, canvas.height)
  return { data: image.data, width: image.width, height: image.height }
}
