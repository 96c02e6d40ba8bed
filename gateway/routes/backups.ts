/**
 * Backups: the whole locker as one CAR file, sealed as it lies on the disk.
 *
 * @module
 */
import type { Agent, Clock } from '../../agent/agent.ts'
import { writeAll } from '../content.ts'
import { attachment } from '../headers.ts'
import { streamRoute, uploadRoute, type Route } from '../route.ts'
import { restored } from '../schemas.ts'
import { upload } from '../uploads.ts'

/** Largest backup taken back, bytes: 1 TiB. The disk is full before. */
const BACKUP_BYTES_MAX = 1024 ** 4

const CAR = 'application/vnd.ipld.car'

export function backupRoutes({
  agent: { backup },
  clock
}: {
  agent: Agent
  clock: Clock
}): readonly Route[] {
  return [
    streamRoute({
      method: 'post',
      path: '/backups',
      access: 'admin',
      summary: 'Write a backup',
      media: CAR,
      answers: 'The CAR',
      handle: async ({ response, signal }) => {
        const day = clock.now().toISOString().slice(0, 10)
        response.setHeader('content-type', CAR)
        response.setHeader('content-disposition', attachment(`elocker-${day}.car`))
        await writeAll(response, backup.create({ signal }), signal)
        response.end()
      }
    }),
    uploadRoute({
      method: 'post',
      path: '/backups/restore',
      access: 'admin',
      summary: 'Bring a locker back into an empty home; its words or passphrase open it afterwards',
      takes: [CAR, 'application/octet-stream', 'multipart/form-data'],
      status: 200,
      answer: restored,
      answers: 'What was restored',
      handle: async ({ request, signal }) => {
        const { content } = await upload(request, BACKUP_BYTES_MAX)
        return backup.restore(content, { signal })
      }
    })
  ]
}
