/** A distribution has ended: what names this pillar as a holder is kept for good. Only an abortion makes it discard. */
import { compareEpochs, fragmentFileId } from '../../protocol/fragments.ts'
import type { MessageOf } from '../../protocol/messages.ts'
import { failed, obtained } from './applying.ts'
import { type Bureau, keeps } from './bureau.ts'

type Ended = MessageOf<'FragmentDistributionEnded'>

export async function end(bureau: Bureau, message: Ended, key: string): Promise<void> {
  const { desk, promised } = bureau
  const { collection, fragments } = message
  if (!keeps(desk, collection)) return
  for (const { hash } of fragments) promised.release(collection, hash)
  const kept = fragments.filter(
    ({ outcome, holders }) => outcome !== 'aborted' && holders.includes(desk.name),
  )
  await persist(bureau, message, kept)
  for (const one of fragments)
    if (one.outcome === 'aborted') await discard(bureau, message, one, key)
}

async function persist(bureau: Bureau, message: Ended, kept: Ended['fragments']): Promise<void> {
  const { desk, notes } = bureau
  if (kept.length === 0) return
  const { collection } = message
  const rows = await desk.store.stored(collection, kept.map(fragmentFileId))
  const here = kept.filter((_, n) => rows[n] !== undefined)
  await notes.persist(
    collection,
    here.map(({ hash, kind, holders }) => ({ hash, kind, holders })),
  )
  await obtained(
    bureau,
    message,
    'persisted',
    here.map(({ hash }) => hash),
  )
  const absent = kept.filter((_, n) => rows[n] === undefined)
  await failed(
    bureau,
    message,
    absent.map(({ hash }) => ({ hash, reason: 'it is not here' })),
    true,
  )
}

/** Only what is here for the time being, and not by a later order than this one. */
async function discard(
  bureau: Bureau,
  message: Ended,
  fragment: Ended['fragments'][number],
  key: string,
): Promise<void> {
  const { desk, notes } = bureau
  const { collection, conversation, epoch, from } = message
  const noted = await notes.temporary(collection, fragment)
  if (!noted || compareEpochs(epoch, noted.epoch) < 0) return
  const id = fragmentFileId(fragment)
  const [version] = await desk.store.versions(collection, [id])
  if (version !== undefined)
    await desk.store.remove(
      { collection, id, checksum: fragment.hash, version },
      { actor: from, conversation, key },
    )
  await notes.drop(collection, [fragment])
  // Or the tracker went on thinking that it is here.
  await failed(bureau, message, [{ hash: fragment.hash, reason: 'given up, as it was told' }], true)
}
