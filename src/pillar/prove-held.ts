/** A file that is offered and is here already: all its bytes are read before it is confirmed. */
import type { StoredFile } from '../index/index.ts'
import { timeText } from '../protocol/scalars.ts'
import type { lock } from '../world/lock.ts'
import { type Findings, isStill } from './findings.ts'
import type { Desk } from './pillar.ts'
import type { FileResult } from './put-run.ts'
import type { Reception } from './reception.ts'

/** `turn` keeps files from being read all at once: their disk is one. */
export function proving(
  desk: Desk,
  file: StoredFile,
  seen: Findings,
  turn: ReturnType<typeof lock>,
  bytes: (file: StoredFile) => AsyncIterable<Uint8Array> = (one) =>
    desk.store.read(one, 0, one.size),
): Reception {
  let at = 0
  return {
    ended: turn(() =>
      hashed(desk, file, seen, bytes(file), (count) => {
        at += count
      }),
    ),
    at: () => at,
    waitingAt: () => undefined,
    closedFor: () => undefined,
    renew: () => undefined,
  }
}

async function hashed(
  desk: Desk,
  file: StoredFile,
  seen: Findings,
  stored: AsyncIterable<Uint8Array>,
  moved: (bytes: number) => void,
): Promise<FileResult> {
  const { world, stopping } = desk
  const { id } = file
  const hasher = world.hashing.start('sha256')
  let wrong = 'the stored bytes are damaged'
  try {
    for await (const bytes of stored) {
      if (stopping.aborted) return { id, code: 'FAILURE', text: 'stopping' }
      hasher.update(bytes)
      moved(bytes.length)
    }
    if (hasher.hex() === file.checksum) {
      seen.right(file)
      const provenAt = timeText(world.clock.now())
      return { id, code: 'OPERATION_COMPLETED', provenAt }
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    wrong = `the stored bytes can not be read: ${why}`
  }
  // Replaced or deleted while it was read: that is no damage, and no confirmation either.
  if (!(await isStill(desk, file)))
    return { id, code: 'FAILURE', text: 'the file was changed while it was read' }
  seen.wrong(file, wrong)
  return { id, code: 'EXISTING_FILE_CHECKSUM_FAILURE', text: wrong }
}
