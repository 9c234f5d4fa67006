/** A distribution has started: should I store it? Can I? Then the pillar applies. What it has already, it says at once. */
import { shouldStoreInEither } from '../../placement/order.ts'
import { compose } from '../../post/compose.ts'
import { fragmentFileId, sparesAtFirst } from '../../protocol/fragments.ts'
import type { MessageOf } from '../../protocol/messages.ts'
import { refusalOf } from '../power.ts'
import { type Bureau, keeps } from './bureau.ts'

type Started = MessageOf<'FragmentDistributionStarted'>

export async function apply(bureau: Bureau, message: Started): Promise<void> {
  const { desk, notes } = bureau
  const { collection, fragments } = message
  if (!keeps(desk, collection)) return
  const rows = await desk.store.stored(collection, fragments.map(fragmentFileId))
  const here = fragments.filter((_, n) => rows[n] !== undefined)
  for (const stage of ['temporary', 'persisted'] as const) {
    const hashes: string[] = []
    for (const one of here) {
      const isTemporary = (await notes.temporary(collection, one)) !== undefined
      if (isTemporary === (stage === 'temporary')) hashes.push(one.hash)
    }
    await obtained(bureau, message, stage, hashes)
  }
  await request(
    bureau,
    message,
    fragments.filter((_, n) => rows[n] === undefined),
  )
}

/** Says that they are here. Nothing is said of none. */
export async function obtained(
  { desk, say, nonces }: Bureau,
  { collection, conversation, from }: Pick<Started, 'collection' | 'conversation' | 'from'>,
  stage: MessageOf<'FragmentDistributionObtained'>['stage'],
  hashes: readonly string[],
): Promise<void> {
  if (hashes.length === 0) return
  // Whoever hears it may count on it.
  const kinds = ['slice', 'info'] as const
  nonces.void(
    collection,
    hashes.flatMap((hash) => kinds.map((kind) => fragmentFileId({ hash, kind }))),
  )
  const event = compose<'FragmentDistributionObtained'>(desk.world, desk.name, {
    type: 'FragmentDistributionObtained',
    conversation,
    to: [from],
    collection,
    stage,
    fragments: [...hashes],
  })
  await say(event)
}

/** Says that they can not be had here, and why. Nothing is said of none. */
export async function failed(
  { desk, say }: Bureau,
  { collection, conversation, from }: Pick<Started, 'collection' | 'conversation' | 'from'>,
  fragments: MessageOf<'FragmentDistributionFailed'>['fragments'],
  gone = false,
): Promise<void> {
  if (fragments.length === 0) return
  const event = compose<'FragmentDistributionFailed'>(desk.world, desk.name, {
    type: 'FragmentDistributionFailed',
    conversation,
    to: [from],
    collection,
    fragments,
    ...(gone ? { gone } : {}),
  })
  await say(event)
}

async function request(
  bureau: Bureau,
  message: Started,
  absent: Started['fragments'],
): Promise<void> {
  const { desk, notes, promised, say } = bureau
  const { collection, conversation, epoch, from, round } = message
  if (refusalOf(desk) !== undefined) return
  const memberships = await notes.memberships(collection)
  const call = { spares: sparesAtFirst, round }
  const should = absent.filter(({ hash, copies }) =>
    shouldStoreInEither(
      hash,
      // An information text has a copy more than the slices that the weights are fitted for.
      memberships.map((one) => ({ ...one, copies })),
      call,
      desk.name,
    ),
  )
  for (const { hash } of should) promised.release(collection, hash)
  let open = (await desk.store.space()).bytesOpen - promised.bytes()
  const hashes: string[] = []
  for (const { hash, size } of should) {
    if (size > open) continue
    open -= size
    promised.promise(collection, hash, size)
    hashes.push(hash)
  }
  if (hashes.length === 0) return
  await say(
    compose<'FragmentDistributionRequested'>(desk.world, desk.name, {
      type: 'FragmentDistributionRequested',
      conversation,
      to: [from],
      epoch,
      collection,
      fragments: hashes,
      bytesOpen: Math.max(0, open),
    }),
  )
}
