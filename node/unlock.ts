/**
 * Opening the vault at an unattended start, from a file that names the secret.
 *
 * @module
 */
import type { Secret } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'
import type { Config } from './config.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, readBounded, systemCode } from './durable-files.ts'

/** A passphrase has one line; a hybrid key file some 2 KiB. */
const SECRET_FILE_BYTES_MAX = 16 * 1024

/** The secret the configuration names, or `undefined` when it names none. Throws `config-invalid`. */
export async function secretAtStart(
  unlock: Config['unlock'],
  files: FileSystem = diskFiles
): Promise<Secret | undefined> {
  if (unlock.passphraseFile !== undefined) {
    const text = await readText(unlock.passphraseFile, files)
    const passphrase = text.split(/\r?\n/, 1)[0] ?? ''
    if (passphrase === '')
      throw new LockerError('config-invalid', `${unlock.passphraseFile} begins with an empty line`)
    return { kind: 'passphrase', passphrase }
  }
  if (unlock.keyFile === undefined) return undefined
  return { kind: 'key-file', text: await readText(unlock.keyFile, files) }
}

async function readText(path: string, files: FileSystem): Promise<string> {
  let file
  try {
    file = await readBounded(files, path, SECRET_FILE_BYTES_MAX)
  } catch (error) {
    throw new LockerError(
      'config-invalid',
      `cannot read ${path}: ${systemCode(error) ?? 'too large'}`,
      {
        cause: error,
        facts: { path }
      }
    )
  }
  if (file === undefined)
    throw new LockerError('config-invalid', `there is no file ${path}`, { facts: { path } })
  return Buffer.from(file.bytes).toString('utf8')
}
