/** What was kept for good and is not here any more, its bytes being damaged: said at once, so that it is brought again. */
import type { StoredFile } from '../../index/index.ts'
import { uuid7 } from '../../post/compose.ts'
import { fragmentOfFileId } from '../../protocol/fragments.ts'
import { failed } from './applying.ts'
import { type Bureau, keeps } from './bureau.ts'

/** Said again after these pauses; whatever is lost nevertheless shows when we join the next time. */
const pausesMs = [0, 60_000, 600_000]

export function goneTelling(bureau: Bureau) {
  const { desk, notes } = bureau
  const telling = new Set<Promise<void>>()

  async function tell({ collection, id }: StoredFile): Promise<void> {
    const named = fragmentOfFileId(id)
    if (!named || !keeps(desk, collection)) return
    await notes.release(collection, [named])
    for (const ms of pausesMs) {
      await desk.world.clock.sleep(ms, desk.stopping)
      const [row] = await desk.store.stored(collection, [id])
      const epoch = await notes.epoch()
      if (desk.stopping.aborted || row || !epoch) return
      const about = { collection, conversation: uuid7(desk.world), from: epoch.tracker }
      await failed(bureau, about, [{ hash: named.hash, reason: 'its bytes were damaged' }], true)
    }
  }
  return {
    tell(file: StoredFile): void {
      const told = tell(file)
        .catch((error) => desk.world.log.warn('fragments.notTold', { why: String(error) }))
        .finally(() => telling.delete(told))
      telling.add(told)
    },
    idle: async (): Promise<void> => void (await Promise.all(telling)),
  }
}
