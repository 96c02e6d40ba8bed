/**
 * The agent's door to backups: an open locker writes them, an empty home takes one.
 *
 * @module
 */
import { createBackup, type BackupComponents } from './backup.ts'
import { restoreBackup } from './backup-restore.ts'
import type { DocumentStore } from './documents.ts'
import type { Records } from './records.ts'

export interface BackupDoorComponents {
  readonly home: Pick<BackupComponents, 'db' | 'blocks' | 'vaultFiles' | 'logger' | 'clock'>
  /** What is backed up; throws `vault-sealed`. */
  readonly locker: () => { readonly documents: DocumentStore; readonly records: Records }
  /** Runs a restoring when no locker is here; throws `vault-exists` otherwise. */
  readonly intoEmptyHome: <T>(restore: () => Promise<T>) => Promise<T>
}

/** Both directions, for `Agent.backup`. */
export function backupDoor({ home, locker, intoEmptyHome }: BackupDoorComponents): {
  create(options?: Parameters<typeof createBackup>[1]): ReturnType<typeof createBackup>
  restore(
    source: Parameters<typeof restoreBackup>[1],
    options?: Parameters<typeof restoreBackup>[2]
  ): ReturnType<typeof restoreBackup>
} {
  return {
    create: (options) => {
      const { documents, records } = locker()
      return createBackup(
        {
          ...home,
          betweenChanges: (work) => records.change(() => work()),
          documents: () =>
            [...documents.list(), ...documents.list({ trashed: true })].map(({ versions }) => ({
              roots: versions.map(({ root }) => root)
            })),
          holdBlocks: () => documents.holdBlocks()
        },
        options
      )
    },
    restore: (source, options) => intoEmptyHome(() => restoreBackup(home, source, options))
  }
}
