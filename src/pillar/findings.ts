/**
 * What reading all bytes of stored files has shown: noted in the index, many at a time, so that the oldest proof moves
 * and damage stands in the audit trail, once.
 */
import type { StoredFile } from '../index/index.ts'
import type { RequestMessage } from '../protocol/messages.ts'
import type { Finding } from '../store/store.ts'
import type { Desk } from './pillar.ts'

export interface Findings {
  right(file: StoredFile): void
  /** Raises the alarm, and has the scrub look at it, too. `how` is one sentence: damaged, or not to be read. */
  wrong(file: StoredFile, how: string): void
  /** Resolves when they are noted, or can not be: a proof is worth nothing less for that. */
  note(): Promise<void>
}

export function findings(
  desk: Desk,
  request: Pick<RequestMessage, 'from' | 'conversation'>,
  signer?: string,
): Findings {
  const { world, store } = desk
  const { from: actor, conversation } = request
  const by = { actor, conversation, ...(signer === undefined ? {} : { key: signer }) }
  let found: Finding[] = []
  return {
    right: (file) => void found.push({ file, is: 'right', at: world.clock.now() }),
    wrong(file, how) {
      const { collection, id } = file
      desk.alarm('CHECKSUM_ALARM', `${id}: ${how}`, { collection, fileId: id })
      found.push({ file, is: 'wrong', at: world.clock.now(), how })
      desk.suspect(file)
    },
    async note() {
      const some = found
      found = []
      if (some.length === 0) return
      await store
        .note(some, by)
        .catch((error) => world.log.warn('findings.notNoted', { why: String(error) }))
    },
  }
}

/** Whether the file is the one that was read: replaced or deleted meanwhile it is neither right nor wrong. */
export async function isStill(
  { store }: Pick<Desk, 'store'>,
  { collection, id, sequence }: StoredFile,
): Promise<boolean> {
  const [now] = await store.stored(collection, [id])
  return now?.sequence === sequence
}
