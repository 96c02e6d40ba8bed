/**
 * A one-page PDF with lines of text, small and valid: sample documents for `npm run dev` and the tests.
 */

/** ISO 32000-1 §7: header, five objects, cross-reference table, trailer. Text is Latin-1. */
export function samplePdf(title: string, lines: readonly string[]): Buffer {
  const shown = lines.map((line) => `0 -22 Td (${escapeText(line)}) Tj`).join('\n')
  const content = `BT /F1 20 Tf 72 740 Td (${escapeText(title)}) Tj /F1 12 Tf 0 -14 Td\n${shown}\nET`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${Buffer.byteLength(content, 'latin1')} >>\nstream\n${content}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'
  ]
  let text = '%PDF-1.4\n'
  const offsets = objects.map((object, at) => {
    const offset = Buffer.byteLength(text, 'latin1')
    text += `${at + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const start = Buffer.byteLength(text, 'latin1')
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`
  return Buffer.from(text, 'latin1')
}

/** ISO 32000-1 §7.3.4.2: in a literal string parentheses and backslashes are escaped. */
function escapeText(text: string): string {
  return text.replace(/[\\()]/g, (character) => `\\${character}`)
}
