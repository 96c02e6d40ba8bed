/**
 * Files on their way into the locker: a few at once, each with its progress, each cancellable. Lives as
 * long as the page, so that uploads go on while the reader looks elsewhere.
 *
 * @module
 */
import { documents } from '../api.ts'
import { type Problem, asProblem } from '../problem.ts'

/** Uploads under way at once; more would only share the same disk and cores. */
const AT_ONCE = 3
/** Files taken from one drop. */
const FILES_MAX = 1000

/** `sealing`: every byte has gone out, the agent is making it durable. */
export type UploadState = 'waiting' | 'sending' | 'sealing' | 'done' | 'failed' | 'cancelled'

export class Upload {
  readonly key: number
  readonly file: File
  state = $state<UploadState>('waiting')
  sent = $state(0)
  problem = $state.raw<Problem>()
  /** Of the stored document. */
  id = $state<string>()
  readonly controller = new AbortController()

  constructor(key: number, file: File) {
    this.key = key
    this.file = file
  }

  get finished(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'cancelled'
  }

  cancel(): void {
    if (this.finished) return
    this.state = 'cancelled'
    this.controller.abort()
  }
}

export class Uploads {
  items = $state<Upload[]>([])
  #count = 0

  get busy(): boolean {
    return this.items.some((upload) => !upload.finished)
  }

  add(files: Iterable<File>): void {
    const taken = [...files].slice(0, FILES_MAX)
    this.items.push(...taken.map((file) => new Upload((this.#count += 1), file)))
    this.#next()
  }

  /** Forgets what is finished. */
  clear(): void {
    this.items = this.items.filter((upload) => !upload.finished)
  }

  retry(upload: Upload): void {
    this.items = this.items.filter((other) => other !== upload)
    this.add([upload.file])
  }

  #next(): void {
    const running = this.items.filter((upload) => /sending|sealing/.test(upload.state)).length
    const waiting = this.items.filter((upload) => upload.state === 'waiting')
    for (const upload of waiting.slice(0, Math.max(0, AT_ONCE - running)))
      void this.#send(upload).then(() => this.#next())
  }

  async #send(upload: Upload): Promise<void> {
    upload.state = 'sending'
    try {
      const facts = await documents.add(
        upload.file,
        ({ sent, total }) => {
          if (upload.finished) return
          upload.sent = Math.min(sent, total)
          if (sent >= total) upload.state = 'sealing'
        },
        upload.controller.signal
      )
      upload.id = facts.id
      upload.state = 'done'
    } catch (thrown) {
      const problem = asProblem(thrown)
      upload.problem = problem
      upload.state = problem.code === 'operation-cancelled' ? 'cancelled' : 'failed'
    }
  }
}

/** The files of a drop; folders are counted, since a browser gives no bytes for them. */
export function filesOf(transfer: DataTransfer): { files: readonly File[]; folders: number } {
  const entries = [...transfer.items].filter((item) => item.kind === 'file')
  return {
    files: entries
      .filter((item) => !isFolder(item))
      .map((item) => item.getAsFile())
      .filter((file) => file !== null),
    folders: entries.filter(isFolder).length
  }
}

function isFolder(item: DataTransferItem): boolean {
  return item.webkitGetAsEntry()?.isDirectory === true
}
