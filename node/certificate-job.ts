/**
 * What goes over the channel between certificates.ts and the process that compiles (certificate-worker.ts).
 *
 * @module
 */
import { z } from 'zod'

export interface CompileJob {
  /** Template file inside the template folder. */
  readonly main: string
  /** Text of a template that is no file; it stands under `main` during this job only. */
  readonly source?: string
  readonly inputs: Readonly<Record<string, string>>
  /** Files that exist during this job only, beside the template. */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[]
  /** PDF standard, in the compiler's spelling. */
  readonly standard: string
}

const templateProblem = z.object({
  message: z.string().max(10_000),
  file: z.exactOptional(z.string().max(1000)),
  line: z.exactOptional(z.int()),
  column: z.exactOptional(z.int())
})

/** One thing wrong with a template, or with a text no font can show. Lines and columns count from 1. */
export type TemplateProblem = Readonly<z.infer<typeof templateProblem>>

/** Structure of an answer: a compiler that a template has broken may say anything. */
export const compileAnswer = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    pdf: z.custom<Uint8Array>((value) => value instanceof Uint8Array)
  }),
  z.object({ ok: z.literal(false), problems: z.array(templateProblem).max(100).readonly() })
])
export type CompileAnswer = Readonly<z.infer<typeof compileAnswer>>
