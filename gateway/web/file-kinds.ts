/**
 * Which media types the page shows, and how. What is not on the list is offered as a download: markup and
 * SVG are never handed to the browser as documents, since they may hold scripts (threat G3).
 *
 * @module
 */
export type PreviewKind = 'pdf' | 'image' | 'text' | 'none'

/** What an icon can tell apart. */
export type FileKind =
  | 'credential'
  | 'pdf'
  | 'image'
  | 'text'
  | 'sheet'
  | 'archive'
  | 'sound'
  | 'film'
  | 'other'

const RASTER_IMAGES = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/bmp'
])
const TEXT_BESIDE_TEXT = new Set([
  'application/json',
  'application/ld+json',
  'application/xml',
  'application/yaml',
  'application/toml',
  'application/vc+json',
  'application/dc+sd-jwt',
  'image/svg+xml'
])

/** The bare type, lower case, without parameters. */
export function essenceOf(mediaType: string): string {
  return (mediaType.split(';')[0] ?? '').trim().toLowerCase()
}

/** How a document of this type is previewed. SVG and HTML are shown as their text. */
export function previewOf(mediaType: string): PreviewKind {
  const type = essenceOf(mediaType)
  if (type === 'application/pdf') return 'pdf'
  if (RASTER_IMAGES.has(type)) return 'image'
  if (type.startsWith('text/') || TEXT_BESIDE_TEXT.has(type)) return 'text'
  return 'none'
}

/** Largest PDF or image that is held in the page to be shown, bytes. */
export const PREVIEW_BYTES_MAX = 100 * 1024 * 1024

/** Whether the page shows a document of this type and size; of a text it shows the beginning. */
export function showable(mediaType: string, sizeBytes: number): boolean {
  const kind = previewOf(mediaType)
  return kind === 'text' || (kind !== 'none' && sizeBytes <= PREVIEW_BYTES_MAX)
}

/** Whether a document of this type is one credential: VCDM 2.0 §C.2, SD-JWT VC §3.1. */
export function isCredential(mediaType: string): boolean {
  const type = essenceOf(mediaType)
  return type === 'application/vc+json' || type === 'application/dc+sd-jwt'
}

/** The family of a type, for its icon. */
export function kindOf(mediaType: string): FileKind {
  const type = essenceOf(mediaType)
  if (isCredential(type)) return 'credential'
  if (type === 'application/pdf') return 'pdf'
  if (type === 'text/csv' || /spreadsheet|ms-excel/.test(type)) return 'sheet'
  if (type.startsWith('image/')) return 'image'
  if (type.startsWith('audio/')) return 'sound'
  if (type.startsWith('video/')) return 'film'
  if (/zip|tar|7z|rar|compress/.test(type)) return 'archive'
  if (
    type.startsWith('text/') ||
    TEXT_BESIDE_TEXT.has(type) ||
    /word|opendocument\.text/.test(type)
  )
    return 'text'
  return 'other'
}

/** A name safe to offer for saving: no path, no control or direction characters, at most 120 characters. */
export function saveNameOf(name: string): string {
  const plain = name
    .normalize('NFC')
    // Controls, and the marks that turn `gpj.exe` round to read `exe.jpg`.
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .replace(/[\\/:*?"<>|]/g, '-')
    .replace(/^\.+/, '')
    .trim()
  return Array.from(plain).slice(0, 120).join('') || 'document'
}
