/**
 * One tracker acts at a time. Pure: which epoch this one takes when it starts, and what it does when it hears of others.
 * The order of epochs is that of `compareEpochs`: of two equal counters the greater name wins.
 */
import { compareEpochs, type Epoch } from '../protocol/fragments.ts'

export type Reign =
  /** Listens for a retained hello before it says its own. */
  | { readonly is: 'starting'; readonly epoch: Epoch }
  | { readonly is: 'acting'; readonly epoch: Epoch }
  /** A newer one acts: this one does nothing more until it is started anew. */
  | { readonly is: 'superseded'; readonly epoch: Epoch; readonly by: Epoch }

/** Above whatever was kept and seen. */
const above = (own: Epoch, seen: Epoch): Epoch =>
  compareEpochs(seen, own) >= 0 ? { ...own, counter: seen.counter + 1 } : own

export const starting = (tracker: string, kept: number): Reign => ({
  is: 'starting',
  epoch: { counter: kept + 1, tracker },
})

export interface ReignStep {
  readonly reign: Reign
  /** Our hello is to be said, once the epoch is safe. */
  readonly hello?: boolean
}

/** A hello was heard: of another, or one of ours that the broker has kept. */
export function heardHello(reign: Reign, seen: Epoch): ReignStep {
  if (reign.is === 'starting') return { reign: { ...reign, epoch: above(reign.epoch, seen) } }
  if (reign.is === 'superseded') return { reign }
  const order = compareEpochs(seen, reign.epoch)
  if (order > 0) return { reign: { is: 'superseded', epoch: reign.epoch, by: seen } }
  // Whoever said it does not know that we are here.
  return order < 0 && seen.tracker !== reign.epoch.tracker ? { reign, hello: true } : { reign }
}

/**
 * A pillar answers to a newer epoch than ours, of which no hello is kept any more: our disk was lost, or we took the place
 * of that tracker. No tracker is stopped by what pillars say; ours rises above it.
 */
export function heardNewer(reign: Reign, seen: Epoch): ReignStep {
  if (reign.is === 'superseded' || compareEpochs(seen, reign.epoch) <= 0) return { reign }
  // Whatever pillars say, there is room to count on.
  if (seen.counter >= counterMax) return { reign }
  const epoch = above(reign.epoch, seen)
  return reign.is === 'starting'
    ? { reign: { is: 'starting', epoch } }
    : { reign: { is: 'acting', epoch }, hello: true }
}

const counterMax = 2 ** 52

export const acting = (reign: Reign): ReignStep =>
  reign.is === 'starting'
    ? { reign: { is: 'acting', epoch: reign.epoch }, hello: true }
    : { reign, hello: reign.is === 'acting' }
