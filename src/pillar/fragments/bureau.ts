/** What the parts of the pillar that care for fragments share. */
import { compareEpochs, type Epoch, type FragmentEvent } from '../../protocol/fragments.ts'
import type { Desk } from '../pillar.ts'
import type { Nonces } from './nonces.ts'
import type { Notes } from './notes.ts'
import type { Promised } from './promised.ts'
import type { Vows } from './vows.ts'

export interface Bureau {
  readonly desk: Desk
  readonly notes: Notes
  readonly promised: Promised
  readonly nonces: Nonces
  readonly vows: Vows
  say(event: FragmentEvent): Promise<void>
}

/** False for what a tracker says that does not act any more; what is newer is remembered. */
export async function isOfActing({ notes }: Bureau, epoch: Epoch): Promise<boolean> {
  const known = await notes.epoch()
  const order = known ? compareEpochs(epoch, known) : 1
  if (order > 0) await notes.noteEpoch(epoch)
  return order >= 0
}

/** Whether this pillar keeps this collection, in fragments, by the archive document. */
export const keeps = ({ directory, name, store }: Desk, collection: string): boolean => {
  const policy = directory.collection(collection)
  const isMine = policy?.fragments !== undefined && policy.pillars.includes(name)
  return isMine && store.kind === 'file'
}
