/**
 * Response headers that keep content in its place.
 *
 * @module
 */
import type { RequestHandler, Response } from 'express'
import helmet from 'helmet'

/**
 * Content-Security-Policy of our own pages and of the workers they start, which go by the policy of their
 * own file. Scripts and styles come from this origin alone and nothing is inline; `blob:` is what the page
 * makes itself, to preview a document it has decrypted; WebAssembly is what pdf.js decodes scanned pages
 * (JBIG2, JPEG 2000) with.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** Of everything that is no page: nothing in it may run, load or be framed. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"

/**
 * Of documents. Should a browser show one in spite of `attachment`, it is in an origin of its own, without
 * scripts (threat G3: stored scripts in HTML, SVG and PDF).
 */
const CONTENT_POLICY = "sandbox; default-src 'none'"

/**
 * Of `/docs` alone: Swagger UI writes style elements. Scripts are still ours alone.
 */
export const DOCS_POLICY = PAGE_POLICY.replace(
  "style-src 'self'",
  "style-src 'self' 'unsafe-inline'"
)

/** Permissions-Policy of what needs no device, which is everything but the page that scans codes. */
const NO_PERMISSIONS =
  'camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()'

/** Of `/verify` alone: it may ask the reader for the camera. */
export const CAMERA_PERMISSIONS = NO_PERMISSIONS.replace('camera=()', 'camera=(self)')

/** On every answer of both listeners. */
export function securityHeaders(): readonly RequestHandler[] {
  const set = helmet({
    // Set by hand: the policy differs between pages, data and documents.
    contentSecurityPolicy: false,
    // The listeners speak plain HTTP; whoever puts TLS before them decides about HSTS.
    strictTransportSecurity: false,
    crossOriginResourcePolicy: { policy: 'same-origin' },
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' }
  })
  return [
    set as RequestHandler,
    (_request, response, next) => {
      response.setHeader('content-security-policy', DATA_POLICY)
      response.setHeader('permissions-policy', NO_PERMISSIONS)
      response.setHeader('cache-control', 'no-store')
      next()
    }
  ]
}

/** Media types a browser runs or may be made to run: sent as bytes without a meaning. */
const ACTIVE =
  /^(?:text\/(?:html|xml|xsl|javascript|css|cache-manifest|vtt)|image\/svg\+xml|application\/(?:xhtml\+xml|xml|javascript|ecmascript|x-javascript|pdf-script|x-shockwave-flash|wasm|mathml\+xml)|multipart\/.*|message\/.*|.*\+xml)$/i

/** A document's media type as it may be sent: well-formed (RFC 9110 §8.3.1) and of no active kind. */
export function safeMediaType(mediaType: string): string {
  const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
  const [bare = ''] = mediaType.split(';', 1)
  if (!new RegExp(`^${token}/${token}$`).test(bare)) return 'application/octet-stream'
  if (ACTIVE.test(bare)) return 'application/octet-stream'
  return bare.startsWith('text/') ? `${bare}; charset=utf-8` : bare
}

/** Headers of a document's bytes. */
export function documentHeaders(
  response: Response,
  { name, mediaType, etag }: { name: string; mediaType: string; etag: string }
): void {
  response.setHeader('content-type', safeMediaType(mediaType))
  response.setHeader('content-disposition', attachment(name))
  response.setHeader('content-security-policy', CONTENT_POLICY)
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('etag', etag)
}

/** Longest file name sent, characters: what file systems take, less an extension a browser may add. */
const FILE_NAME_MAX = 200

/** Names Windows gives to devices. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/i

/**
 * A name that is only a name wherever it is saved: no separators, no control or direction characters, no
 * leading dot, no device. Different names may come out the same; the id tells documents apart.
 */
export function fileName(name: string): string {
  const plain = name
    .toWellFormed()
    .replace(/[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu, '')
    .replace(/[/\\:*?"<>|\ufffd]/g, '_')
    .replace(/^[\s.~]+/, '')
    .replace(/[\s.]+$/, '')
  const short = shorten(plain)
  if (short === '') return 'document'
  return DEVICE.test(short) ? `_${short}` : short
}

/** Cuts in the middle of the stem, keeping a short extension. Counts code points, so no pair is split. */
function shorten(name: string): string {
  const points = Array.from(name)
  if (points.length <= FILE_NAME_MAX) return name
  const extension = /\.[^.]{1,10}$/u.exec(name)?.[0] ?? ''
  return points.slice(0, FILE_NAME_MAX - Array.from(extension).length).join('') + extension
}

/**
 * `Content-Disposition: attachment` with the name in both forms of RFC 6266 §4.1: a quoted ASCII string,
 * and UTF-8 percent-encoded by RFC 8187 §3.2.1.
 */
export function attachment(name: string): string {
  const safe = fileName(name)
  // A percent sign in the plain form is decoded by some browsers (RFC 6266 appendix D).
  const ascii = safe.replace(/[^\x20-\x7e]|[%"\\]/gu, '_')
  const encoded = encodeURIComponent(safe).replace(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )
  return ascii === safe
    ? `attachment; filename="${ascii}"`
    : `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`
}
