/**
 * Certificates: a credential as a page to print and to hand in, made by Typst from a template.
 *
 * The file is PDF/A-3a, tagged, with title and language, and carries the credential as an attachment with the
 * relationship Source, so that `verify` finds it (protocols/credential/pdf.ts), as well as a code to scan. The page shows what the credential
 * says and proves nothing by itself.
 *
 * | what a template can reach | how it is held |
 * |---------------------------|----------------|
 * | data                      | `sys.inputs`, and the pictures and the attachment of this one certificate |
 * | files                     | the template folder, which is the compiler's root |
 * | fonts                     | `node/fonts`, and on Linux none of the machine's; a text that none can show is refused |
 * | network                   | none: the compiler is pointed at a proxy that is not there |
 * | time                      | {@link TIMEOUT_MS}, then its process is killed |
 * | memory                    | {@link MEMORY_KIB_MAX}, on Linux |
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { encode } from 'uqr'
import type { Clock } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { CredentialType } from '../protocols/credential/credential-type.ts'
import type { JsonObject } from '../protocols/credential/json.ts'
import { credentialInPdf } from '../protocols/credential/pdf.ts'
import {
  compileAnswer,
  type CompileAnswer,
  type CompileJob,
  type TemplateProblem
} from './certificate-job.ts'
import { pageOf, type CertificatePage } from './certificate-page.ts'
import { systemClock } from './clock.ts'
import { QueueFullError, Semaphore } from './semaphore.ts'

/** Longest a certificate may take, milliseconds; a page takes about 30, a table of 1,000 lines 5,000, the first of a process 300 more. */
const TIMEOUT_MS = 30_000

/** Memory of the compiling process beyond its code and libraries, KiB; a table of 1,000 lines takes between 0.7 and 1 GiB. */
const MEMORY_KIB_MAX = 1_572_864

/** Certificates waiting for the one being made; a batch hands over the next when one is done. */
export const QUEUE_MAX = 100

/** Everything handed over for one certificate, bytes: a credential of the largest size, and a logo. */
export const INPUT_BYTES_MAX = 262_144

/** Largest certificate, bytes. */
const OUTPUT_BYTES_MAX = 10 * 1024 * 1024

/** Widest and highest logo, pixels: decoded it takes four bytes for each. */
const LOGO_PIXELS_MAX = 4096

/** How long the process waits for the next certificate, milliseconds; it holds about 120 MiB. */
const IDLE_MS_MAX = 60_000

/** Work after which a process is replaced, milliseconds: what a compiler does not give back ends with it. */
const WORK_MS_MAX = 60_000

/** The shell sets the limits of the process that takes its place: KiB of data, seconds of work. */
const LIMITED = 'ulimit -d "$0" && ulimit -t "$1" && shift && exec "$@"'

/** The compiler's environment sends whatever it asks of the network here, where nothing listens (port 1 is reserved). */
const NO_PROXY_THERE = 'http://127.0.0.1:1'

/** Templates shipped with eLocker, by name. */
const TEMPLATES: ReadonlySet<string> = new Set(['certificate'])

/** Longest text of a scanned code, characters: version 40 at the lowest correction holds 2,953 bytes. */
const CODE_CHARACTERS_MAX = 2_900

/** What is encoded in the code to scan. */
type CertificateCode =
  /** The credential itself, as protocols/credential/compact.ts makes it. */
  | { readonly kind: 'compact'; readonly text: string }
  /** An address where it can be verified, in full, and the hash printed beside it, in the spelling to compare. */
  | { readonly kind: 'url'; readonly url: string; readonly hash: string }

export interface CertificateInput {
  /** The credential, or the claims of an SD-JWT in the shape of one: what the page shows. */
  readonly credential: JsonObject
  /**
   * What is attached, byte for byte. Default: the credential as JSON.
   */
  readonly attachment?: {
    readonly mediaType: 'application/vc+json' | 'application/dc+sd-jwt'
    readonly bytes: Uint8Array
  }
  readonly type: CredentialType
  /** BCP 47: labels, dates, language of the document. */
  readonly language: string
  /** BCP 47: labels set smaller beside the first ones; undefined for one language. */
  readonly secondLanguage?: string
  /** The institution's names by language; the first that fits each language is printed. */
  readonly issuerNames: Readonly<Record<string, string>>
  /** PNG, at most 4,096 pixels a side. */
  readonly logo?: Uint8Array
  readonly qr: CertificateCode
  /** Address of a page that verifies uploads, printed and linked. */
  readonly verifyUrl?: string
  /** Name of a shipped template. Default: the type's own. */
  readonly template?: string
  /** Text of an institution's own template, instead of a name; it can import `parts.typ`. */
  readonly templateSource?: string
  /** IANA zone whose days are printed. Default UTC. */
  readonly timeZone?: string
}

export interface CertificateRenderer {
  /**
   * The certificate as PDF/A-3a.
   *
   * @throws `template-unknown`; `template-invalid` with `facts.problems` (message, line, column) for an institution's
   * own template; `certificate-invalid` for input over its limits, a picture that is none, a text no font can show;
   * `certificate-busy` when {@link QUEUE_MAX} are waiting; `certificate-failed` when it takes too long or too much
   * memory; `operation-cancelled` once closed.
   */
  render(input: CertificateInput): Promise<Uint8Array>
  /** Ends the compiling process; what is being made fails with `operation-cancelled`. */
  close(): void
}

export interface CertificateOptions {
  /** Folder of TTF files. Default: the shipped ones. */
  readonly fontsPath?: string
  /** Default 30 s. */
  readonly timeoutMs?: number
  /** Default 1.5 GiB; held on Linux only. */
  readonly memoryKib?: number
  /** Where the compiler's requests to the network go. Default: a port of this machine where nothing listens. */
  readonly proxyUrl?: string
  readonly clock?: Clock
}

/** Makes certificates one after the other, in a process that starts with the first and ends when idle. */
export function createCertificateRenderer(options: CertificateOptions = {}): CertificateRenderer {
  const compiler = new CompilerProcess(options)
  const turns = new Semaphore(1, QUEUE_MAX)
  return {
    async render(input) {
      const job = jobOf(input)
      try {
        return await checkedPdf(await turns.run(() => compiler.compile(job)), job, input)
      } catch (error) {
        if (!(error instanceof QueueFullError)) throw error
        throw new LockerError('certificate-busy', `${QUEUE_MAX} certificates are waiting`, {
          cause: error
        })
      }
    },
    close: () => compiler.close()
  }
}

/** The PDF when the credential can be found in it, byte for byte: a template could leave it out or attach another. */
async function checkedPdf(
  answer: CompileAnswer,
  job: CompileJob,
  input: CertificateInput
): Promise<Uint8Array> {
  const pdf = pdfOf(answer, input)
  const found = await credentialInPdf(pdf)
  const attached = job.files[0]?.bytes ?? new Uint8Array()
  if (found.ok && Buffer.compare(found.bytes, attached) === 0) return pdf
  throw new LockerError(
    'template-invalid',
    found.ok
      ? 'the template attaches another credential'
      : `the template attaches no credential: ${found.reason}`,
    { facts: { problems: [] } }
  )
}

function pdfOf(answer: CompileAnswer, input: CertificateInput): Uint8Array {
  if (answer.ok) {
    if (answer.pdf.length <= OUTPUT_BYTES_MAX) return answer.pdf
    throw new LockerError(
      'certificate-invalid',
      `the certificate is ${answer.pdf.length} bytes, over ${OUTPUT_BYTES_MAX}`
    )
  }
  const { problems } = answer
  const first: TemplateProblem = problems[0] ?? { message: 'the compiler gave no reason' }
  // A shipped template is right: what cannot be set with it is in the data. So is a text without glyphs in any template.
  const dataFault =
    input.templateSource === undefined || first.message.includes('could not be displayed')
  const where = first.line === undefined ? '' : ` (line ${first.line}, column ${first.column})`
  throw new LockerError(
    dataFault ? 'certificate-invalid' : 'template-invalid',
    dataFault ? first.message : `${first.message}${where}`,
    { facts: { problems } }
  )
}

function jobOf(input: CertificateInput): CompileJob {
  const attached = input.attachment ?? {
    mediaType: 'application/vc+json',
    bytes: Buffer.from(JSON.stringify(input.credential))
  }
  const name = input.template ?? input.type.template
  if (input.templateSource === undefined && !TEMPLATES.has(name)) {
    throw new LockerError('template-unknown', `there is no certificate template ${name}`)
  }
  checkWords(input)
  const { page, images } = pageOf({ ...input, timeZone: input.timeZone ?? 'UTC' })
  const code = codeOf(input.qr)
  const whole: CertificatePage = {
    ...page,
    ...(input.logo === undefined ? {} : { logo: 'logo.png' }),
    ...(input.verifyUrl === undefined ? {} : { verifyUrl: input.verifyUrl }),
    qr: {
      kind: input.qr.kind,
      modules: code.modules,
      ...(input.qr.kind === 'url' ? { url: input.qr.url, hash: input.qr.hash } : {})
    }
  }
  const attachment =
    attached.mediaType === 'application/vc+json' ? 'credential.json' : 'credential.sd-jwt'
  const job: CompileJob = {
    main: input.templateSource === undefined ? `${name}.typ` : 'own-template.typ',
    ...(input.templateSource === undefined ? {} : { source: input.templateSource }),
    inputs: {
      page: JSON.stringify(whole),
      code: code.svg,
      attachment,
      'attachment-type': attached.mediaType
    },
    files: [
      { path: attachment, bytes: attached.bytes },
      ...(input.logo === undefined ? [] : [{ path: 'logo.png', bytes: checkedLogo(input.logo) }]),
      ...images
    ],
    standard: 'a-3a'
  }
  checkSize(job, input)
  return job
}

/** What would be a fault of ours further on: languages and zones that are none, a link to something else than a page. */
function checkWords({ language, secondLanguage, timeZone, verifyUrl }: CertificateInput): void {
  for (const tag of [language, secondLanguage ?? language]) {
    if (!/^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/.test(tag)) {
      throw new LockerError('certificate-invalid', `${tag} is not a language tag`)
    }
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: timeZone ?? 'UTC' }).format()
  } catch (cause) {
    throw new LockerError('certificate-invalid', `${timeZone ?? ''} is not a time zone`, { cause })
  }
  if (verifyUrl !== undefined && !/^https?:\/\/[!-~]+$/.test(verifyUrl)) {
    throw new LockerError('certificate-invalid', `${verifyUrl} is not the address of a page`)
  }
}

/** The code's own size does not count: it follows from a text that does. */
function checkSize(job: CompileJob, input: CertificateInput): void {
  const sizes = [
    Buffer.byteLength(JSON.stringify(input.credential)),
    Buffer.byteLength(job.source ?? ''),
    job.files.find(({ path }) => path === 'logo.png')?.bytes.length ?? 0
  ]
  const largest = Math.max(...sizes, job.files[0]?.bytes.length ?? 0)
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (bytes > INPUT_BYTES_MAX || largest > INPUT_BYTES_MAX) {
    throw new LockerError(
      'certificate-invalid',
      `credential, template and logo are ${bytes} bytes, over ${INPUT_BYTES_MAX}`
    )
  }
}

/** PNG 1.2 §11.2.2: the size stands in the header, before anything is decoded. */
function checkedLogo(bytes: Uint8Array): Uint8Array {
  const png = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (png.length < 33 || png.subarray(0, 8).toString('latin1') !== '\x89PNG\r\n\x1A\n') {
    throw new LockerError('certificate-invalid', 'the logo is not a PNG image')
  }
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  if (Math.max(width, height) > LOGO_PIXELS_MAX) {
    throw new LockerError(
      'certificate-invalid',
      `the logo is ${width} by ${height} pixels, over ${LOGO_PIXELS_MAX} a side`
    )
  }
  return bytes
}

/**
 * The code as SVG: one path, sharp at every size. ISO/IEC 18004 asks for a quiet zone of four modules. A compact code
 * is large already and is printed clean, so it has the lowest correction; an address has more.
 */
function codeOf(qr: CertificateCode): { svg: string; modules: number } {
  const text = qr.kind === 'compact' ? qr.text : qr.url
  if (text.length === 0 || text.length > CODE_CHARACTERS_MAX) {
    throw new LockerError(
      'certificate-invalid',
      `the text of the code is ${text.length} characters, not 1 to ${CODE_CHARACTERS_MAX}`
    )
  }
  let matrix: ReturnType<typeof encode>
  try {
    matrix = encode(text, { ecc: qr.kind === 'compact' ? 'L' : 'M', border: 4 })
  } catch (cause) {
    throw new LockerError('certificate-invalid', 'the text does not fit into a code', { cause })
  }
  const path = matrix.data
    .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')))
    .join('')
  const { size } = matrix
  return {
    svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path d="M0 0h${size}v${size}h-${size}z" fill="#fff"/><path d="${path}"/></svg>`,
    modules: size
  }
}

/** One process at a time; a new one after a time-out, a crash or an idle spell. */
class CompilerProcess {
  readonly #options: CertificateOptions
  readonly #clock: Clock
  #child: ChildProcess | undefined
  #stopIdle: (() => void) | undefined
  #closed = false
  /** Work of this process so far, milliseconds. */
  #workedMs = 0
  #fail: ((error: LockerError) => void) | undefined

  constructor(options: CertificateOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async compile(job: CompileJob): Promise<CompileAnswer> {
    if (this.#closed) throw closedError()
    this.#stopIdle?.()
    const child = (this.#child ??= this.#start())
    const { promise, resolve, reject } = Promise.withResolvers<CompileAnswer>()
    const limitMs = this.#limitMs()
    const startedAt = this.#clock.now().getTime()
    const stopTimer = this.#clock.after(limitMs, () => {
      reject(
        new LockerError('certificate-failed', `the certificate was not made within ${limitMs} ms`)
      )
      this.#end()
    })
    this.#fail = reject
    child.once('message', (message) => {
      const answer = compileAnswer.safeParse(message)
      if (answer.success) resolve(answer.data)
      else reject(diedError('its answer is none'))
    })
    // A process that waits for nothing else must not outlive its work; one that works must not be left.
    child.ref()
    child.channel?.ref()
    child.send(job, (error) => {
      if (error !== null) reject(diedError(error.message))
    })
    try {
      return await promise
    } finally {
      stopTimer()
      this.#fail = undefined
      child.removeAllListeners('message')
      child.unref()
      child.channel?.unref()
      this.#workedMs += this.#clock.now().getTime() - startedAt
      if (this.#workedMs > WORK_MS_MAX) this.#end()
      if (this.#child !== undefined) {
        this.#stopIdle = this.#clock.after(IDLE_MS_MAX, () => this.#end())
      }
    }
  }

  close(): void {
    this.#closed = true
    this.#stopIdle?.()
    this.#fail?.(closedError())
    this.#end()
  }

  #start(): ChildProcess {
    const folder = fileURLToPath(beside('node/certificates'))
    const fonts = this.#options.fontsPath ?? fileURLToPath(beside('node/fonts'))
    const worker = fileURLToPath(
      new URL(`certificate-worker${import.meta.url.slice(-3)}`, import.meta.url)
    )
    const proxy = this.#options.proxyUrl ?? NO_PROXY_THERE
    const command = [process.execPath, worker, folder, fonts]
    const limited =
      process.platform === 'linux'
        ? ['/bin/sh', '-c', LIMITED, this.#memoryKib(), this.#cpuSeconds(), ...command]
        : command
    const [program = '', ...parameters] = limited
    this.#workedMs = 0
    const child = spawn(program, parameters, {
      // Without a home there is no folder of packages either, nor a font folder of the user.
      env: {
        HTTP_PROXY: proxy,
        HTTPS_PROXY: proxy,
        ALL_PROXY: proxy,
        http_proxy: proxy,
        HOME: folder,
        FONTCONFIG_FILE: fileURLToPath(beside('node/fonts/fonts.conf'))
      },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced'
    })
    const died = (reason: string): void => {
      if (this.#child === child) this.#child = undefined
      this.#fail?.(diedError(reason))
    }
    child.once('error', (error) => died(error.message))
    child.once('exit', (code, signal) => {
      if (this.#child === child) died(signal === null ? `exit code ${code}` : signal)
    })
    return child
  }

  #limitMs(): number {
    return this.#options.timeoutMs ?? TIMEOUT_MS
  }

  /** On all cores together. Ends a compiler in an endless template whose parent was killed and so cannot kill it. */
  #cpuSeconds(): string {
    return String(Math.ceil(((WORK_MS_MAX + this.#limitMs()) / 1000) * availableParallelism()))
  }

  #memoryKib(): string {
    return String(this.#options.memoryKib ?? MEMORY_KIB_MAX)
  }

  #end(): void {
    const child = this.#child
    this.#child = undefined
    child?.kill('SIGKILL')
  }
}

/** A file that is shipped beside the source, also when this runs from `dist/node/`. */
function beside(path: string): URL {
  return new URL(`${import.meta.url.endsWith('.ts') ? '..' : '../..'}/${path}`, import.meta.url)
}

function diedError(reason: string): LockerError {
  return new LockerError('certificate-failed', `the compiler ended before it was done: ${reason}`)
}

function closedError(): LockerError {
  return new LockerError('operation-cancelled', 'the certificate renderer is closed')
}
