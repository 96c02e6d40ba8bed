/** Poppler's tools, an independent reader of PDF, where the machine has them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Longest a tool may take, milliseconds. */
const TOOL_MS_MAX = 20_000

/** One of the tools; they come together. */
const PROBE = 'pdfinfo'

/** Whether the tools are there; a test that needs them skips where they are not. */
export const hasPoppler = spawnSync(PROBE, ['-v']).status === 0

/** A PDF in a folder of its own, removed by `using`. */
export class PopplerFile implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'elocker-poppler-'))
  readonly #path = join(this.#folder, 'file.pdf')

  constructor(pdf: Uint8Array) {
    writeFileSync(this.#path, pdf)
  }

  /** What `pdfinfo` says, by its own words. */
  info(): ReadonlyMap<string, string> {
    return new Map(
      this.#run('pdfinfo', [this.#path])
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
    )
  }

  /** What `pdfdetach -list` says. */
  attachments(): string {
    return this.#run('pdfdetach', ['-list', this.#path])
  }

  /** The text of one page, from 1, in the order of reading. */
  text(page: number): string {
    return this.#run('pdftotext', ['-f', String(page), '-l', String(page), this.#path, '-'])
  }

  /** Columns of space before the first text on a page (from 1), as it is laid out. */
  indent(page: number): number {
    const text = this.#run('pdftotext', [
      '-layout',
      '-f',
      String(page),
      '-l',
      String(page),
      this.#path,
      '-'
    ])
    return /^\s*?( *)\S/.exec(text.replaceAll(/^ *\n/gm, ''))?.[1]?.length ?? 0
  }

  /** Names of the fonts in it, without the prefix of a subset. */
  fonts(): readonly string[] {
    const lines = this.#run('pdffonts', [this.#path]).split('\n').slice(2)
    return [
      ...new Set(
        lines
          .filter((line) => line !== '')
          .map((line) => (line.split(' ')[0] ?? '').replace(/^[A-Z]{6}\+/, ''))
      )
    ]
  }

  /** The lower right part of one page (from 1) of A4, as grey pixels. */
  corner(
    page: number,
    { sizeMm, dotsPerInch }: { sizeMm: number; dotsPerInch: number }
  ): { width: number; height: number; grey: Uint8Array } {
    const target = join(this.#folder, 'page')
    const dots = (mm: number): string => String(Math.round((mm / 25.4) * dotsPerInch))
    const part = [
      '-x',
      dots(210 - sizeMm),
      '-y',
      dots(297 - sizeMm),
      '-W',
      dots(sizeMm),
      '-H',
      dots(sizeMm)
    ]
    const pages = ['-f', String(page), '-l', String(page), '-singlefile']
    this.#run('pdftoppm', [
      '-gray',
      '-r',
      String(dotsPerInch),
      ...part,
      ...pages,
      this.#path,
      target
    ])
    const file = readFileSync(`${target}.pgm`)
    const [head = '', width = '0', height = '0'] =
      /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(file.toString('latin1', 0, 64)) ?? []
    return { width: Number(width), height: Number(height), grey: file.subarray(head.length) }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #run(tool: string, parameters: readonly string[]): string {
    return execFileSync(tool, parameters, {
      encoding: 'utf8',
      timeout: TOOL_MS_MAX,
      stdio: ['ignore', 'pipe', 'ignore']
    })
  }
}
