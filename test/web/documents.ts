/**
 * Sample documents for the page's tests: small files of the kinds the page shows, and one of the kind it
 * must not.
 *
 * @module
 */
import { crc32, deflateSync } from 'node:zlib'

const PAGE = { width: 595, height: 842 }

/** A PDF of one page with the given lines, the first as its heading (ISO 32000-1 §7.5). */
export function pdf(lines: readonly string[]): Buffer {
  const text = lines
    .map((line, place) => {
      const size = place === 0 ? 26 : 13
      const y = PAGE.height - 120 - (place === 0 ? 0 : 40 + place * 24)
      return `BT /F1 ${size} Tf 72 ${y} Td (${line.replaceAll(/[()\\]/g, '')}) Tj ET`
    })
    .join('\n')
  const content = `0.06 0.32 0.29 rg 0 ${PAGE.height - 24} ${PAGE.width} 24 re f\n0.1 0.13 0.13 rg\n${text}`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${PAGE.width} ${PAGE.height}] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`
  ]
  let file = '%PDF-1.4\n'
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

/** A PNG with a soft gradient. */
export function png(width: number, height: number): Buffer {
  return pngOf(width, height, (x, y) => [
    40 + (150 * x) / width,
    110 + (90 * y) / height,
    120 + (60 * x) / width
  ])
}

/** A PNG (PNG specification, 3rd ed.), colour type 2, one IDAT. `colour`: red, green and blue of a pixel, 0 to 255. */
export function pngOf(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number]
): Buffer {
  const rows = Buffer.alloc(height * (1 + width * 3))
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) rows.set(colour(x, y), y * (1 + width * 3) + 1 + x * 3)
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0))
  ])
}

/** HTML and SVG that would call `/canary` and leave a mark, were any of them ever run (threat G3). */
export const HOSTILE_SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload="fetch('/canary')"><script>globalThis.canary = 1</script></svg>`

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  framed.set(body, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}
