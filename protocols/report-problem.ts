/**
 * Report Problem 2.0: why a message or a thread could not go on (DIDComm Messaging v2.1 "Problem Reports").
 * The codes this project sends stand in report-problem.md and in the pages of single protocols.
 *
 * @module
 */
import { z } from 'zod'

export const REPORT_PROBLEM = 'https://didcomm.org/report-problem/2.0'

/** Longest comment shown or sent, in characters. */
export const COMMENT_CHARS_MAX = 500

/** `<e|w>.<scope>.<descriptors>`, "Problem Codes". Read leniently on case, written in lower case. */
const PROBLEM_CODE = /^[ew]\.[a-z0-9-]{1,64}(\.[a-z0-9_-]{1,64}){0,8}$/i

export const problemReport = z.object({
  code: z.string().max(300).regex(PROBLEM_CODE),
  comment: z.exactOptional(z.string().max(4096)),
  args: z.exactOptional(z.array(z.union([z.string().max(1024), z.number(), z.null()])).max(16)),
  /** Where a person finds help: shown as text, never opened. */
  escalate_to: z.exactOptional(z.string().max(2048))
})

/**
 * The comment for a person: `{1}` and so on are replaced by the arguments (`?` for a missing or null one,
 * surplus ones appended with commas), control and invisible formatting characters removed, at most {@link COMMENT_CHARS_MAX}.
 */
export function commentOf(report: z.infer<typeof problemReport>): string {
  const args = (report.args ?? []).map((argument) => (argument === null ? '?' : String(argument)))
  const used = new Set<number>()
  const filled = (report.comment ?? '').replaceAll(/\{(\d{1,2})\}/g, (_match, digits: string) => {
    const position = Number(digits) - 1
    used.add(position)
    return args[position] ?? '?'
  })
  const surplus = args.filter((_argument, position) => !used.has(position))
  const text = [filled, surplus.join(', ')].join(' ')
  const clean = text.replaceAll(/\p{C}+/gu, ' ').trim()
  return Array.from(clean).slice(0, COMMENT_CHARS_MAX).join('')
}
