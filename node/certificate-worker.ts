/**
 * The Typst compiler in a process of its own, started by certificates.ts and spoken to over its channel.
 *
 * A process and not a thread: the compiler is native code that answers to nothing while it runs, so a template that
 * loops would hold a terminated thread, and what it allocates is outside every limit of V8. A process ends when it is
 * killed. Its environment holds nothing but what certificates.ts gives it.
 *
 * @module
 */
import { join } from 'node:path'
import { NodeCompiler, type NodeError } from '@myriaddreamin/typst-ts-node-compiler'
import type { CompileAnswer, CompileJob, TemplateProblem } from './certificate-job.ts'

/** Diagnostics passed on: the first is the cause of most that follow. */
const PROBLEMS_MAX = 20

/** Compilations whose cached parts are kept: fonts and the template stay, the texts of old pages go. */
const CACHE_AGE_MAX = 4

const [folder = '', fonts = ''] = process.argv.slice(2)
const compiler = NodeCompiler.create({ workspace: folder, fontArgs: [{ fontPaths: [fonts] }] })

process.on('message', (job: CompileJob) => {
  const answer = compile(job)
  process.send?.(answer)
})
process.on('disconnect', () => process.exit())

function compile(job: CompileJob): CompileAnswer {
  try {
    for (const { path, bytes } of job.files)
      compiler.mapShadow(join(folder, path), Buffer.from(bytes))
    if (job.source !== undefined) compiler.addSource(join(folder, job.main), job.source)
    const result = compiler.compile({
      mainFilePath: join(folder, job.main),
      inputs: { ...job.inputs }
    })
    const document = result.result
    if (result.hasError() || document === null) {
      const error = result.takeError()
      return { ok: false, problems: error === null ? [] : problemsOf(error) }
    }
    return { ok: true, pdf: compiler.pdf(document, { pdfStandard: job.standard }) }
  } catch (error) {
    return { ok: false, problems: thrownProblems(String(error)) }
  } finally {
    compiler.resetShadow()
    compiler.evictCache(CACHE_AGE_MAX)
  }
}

function problemsOf(error: NodeError): readonly TemplateProblem[] {
  // Typed as any by the package; each is read as unknown.
  const diagnostics: readonly unknown[] = compiler.fetchDiagnostics(error)
  return diagnostics.slice(0, PROBLEMS_MAX).map((diagnostic) => {
    const { message, path, range } = Object(diagnostic)
    const start = Object(range)?.start
    return {
      message: sentence(String(message)),
      ...(typeof path === 'string' && path !== '' ? { file: path.split(/[\\/]/).pop() ?? '' } : {}),
      ...(typeof start?.line === 'number'
        ? { line: start.line + 1, column: start.character + 1 }
        : {})
    }
  })
}

/** Without paths of this machine, which say nothing to whoever wrote the template. */
function sentence(message: string): string {
  if (message.startsWith('failed to download package')) {
    return 'packages are off: a template imports only what lies beside it'
  }
  return message.replaceAll(folder, '')
}

/** The export to PDF throws its diagnostics as one text of Rust, in which only the messages are for people. */
function thrownProblems(text: string): readonly TemplateProblem[] {
  const messages = [...text.matchAll(/message: "((?:[^"\\]|\\.)*)"/g)].map(([, message = '']) =>
    message.replaceAll(/\\(.)/g, '$1')
  )
  return (messages.length === 0 ? [text.slice(0, 1000)] : messages)
    .slice(0, PROBLEMS_MAX)
    .map((message) => ({ message }))
}
