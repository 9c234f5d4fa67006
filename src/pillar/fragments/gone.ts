/** What was kept for good and is not here any more, damaged or missing: said at once, so that it is brought again. */
import type { StoredFile } from '../../index/index.ts'
import { uuid7 } from '../../post/compose.ts'
import { fragmentOfFileId } from '../../protocol/fragments.ts'
import { failed } from './applying.ts'
import { type Bureau, keeps } from './bureau.ts'

/** Said again after these pauses; whatever is lost nevertheless shows when we join the next time. */
const pausesMs = [0, 60_000, 600_000]

type Lost = Pick<StoredFile, 'collection' | 'id'>

export function goneTelling(bureau: Bureau) {
  const { desk, notes } = bureau
  const telling = new Set<Promise<void>>()

  async function tell({ collection, id }: Lost, reason: string, isSure: boolean): Promise<void> {
    const named = fragmentOfFileId(id)
    if (!named || !keeps(desk, collection)) return
    const isKnown = isSure || (await notes.isHeld(collection, named))
    // It may be on a volume that is away.
    if (!isKnown || (!isSure && desk.store.away?.() !== undefined)) return
    const [here] = isSure ? [] : await desk.store.stored(collection, [id])
    if (here) return
    await notes.release(collection, [named])
    for (const ms of pausesMs) {
      await desk.world.clock.sleep(ms, desk.stopping)
      const [row] = await desk.store.stored(collection, [id])
      const epoch = await notes.epoch()
      if (desk.stopping.aborted || row || !epoch) return
      const about = { collection, conversation: uuid7(desk.world), from: epoch.tracker }
      await failed(bureau, about, [{ hash: named.hash, reason }], true)
    }
  }
  function begin(file: Lost, reason: string, isSure: boolean): void {
    const told = tell(file, reason, isSure)
      .catch((error) => desk.world.log.warn('fragments.notTold', { why: String(error) }))
      .finally(() => telling.delete(told))
    telling.add(told)
  }
  return {
    tell: (file: Lost): void => begin(file, 'its bytes were damaged', true),
    /** Somebody asked for it, and it is not here: perhaps it never was. */
    missing: (file: Lost): void => begin(file, 'it is missing', false),
    idle: async (): Promise<void> => void (await Promise.all(telling)),
  }
}
