/** Fragments under a power that can be cut: here for the time being, then kept for good, or given up. */
import type { Bureau } from '../../src/pillar/fragments/bureau.ts'
import { end } from '../../src/pillar/fragments/ending.ts'
import { nonces } from '../../src/pillar/fragments/nonces.ts'
import { notes } from '../../src/pillar/fragments/notes.ts'
import { promisedRoom } from '../../src/pillar/fragments/promised.ts'
import type { Desk } from '../../src/pillar/pillar.ts'
import { type FragmentEvent, fragmentFileId } from '../../src/protocol/fragments.ts'
import type { MessageOf } from '../../src/protocol/messages.ts'
import { simRandom } from '../../src/sim/random.ts'
import type { Directory } from '../../src/trust/directory.ts'
import { digestOf } from '../../src/world/world.ts'
import { type Original, put, type Run, type Work, world } from './power.ts'

const epoch = { tracker: 't', counter: 1 }
const random = simRandom('fragments')

function fragment(size: number): Original & { readonly hash: string; readonly kind: 'slice' } {
  const bytes = random.bytes(size)
  const hash = digestOf(world, bytes)
  return { id: fragmentFileId({ hash, kind: 'slice' }), bytes, hash, kind: 'slice' }
}

const [kept, given] = [fragment(1500), fragment(700)]

/** As the pillar does it, with what it says heard by `said`. */
function bureauOf({ store, state, collection }: Run, said: (event: FragmentEvent) => void): Bureau {
  const policy: ReturnType<Directory['collection']> = {
    ...{ name: collection, pillars: ['p1'], copiesMin: 1, algorithm: 'sha256' },
    fragments: { bytes: 4096, copies: 2 },
  }
  const directory: Partial<Directory> = { collection: () => policy }
  const about: Partial<Desk> = { world, name: 'p1', store, state }
  const desk = { ...about, directory } as Desk
  return {
    ...{ desk, notes: notes(state), promised: promisedRoom(world), nonces: nonces(world) },
    vows: { make: async () => undefined, binds: async () => false },
    say: async (event) => said(event),
  }
}

const ended = (
  collection: string,
  { hash, kind, bytes }: typeof kept,
  outcome: 'complete' | 'aborted',
): MessageOf<'FragmentDistributionEnded'> =>
  ({
    ...{ type: 'FragmentDistributionEnded', collection, epoch, from: 't', conversation: 'd' },
    fragments: [
      {
        hash,
        kind,
        size: bytes.length,
        outcome,
        holders: outcome === 'aborted' ? [] : ['p1', 'p2'],
      },
    ],
  }) as Partial<MessageOf<'FragmentDistributionEnded'>> as MessageOf<'FragmentDistributionEnded'>

export const fragments: Work = {
  name: 'fragments, one kept for good and one given up',
  originals: [kept],
  async run(run) {
    const { store, promises, collection } = run
    const bureau = bureauOf(run, (event) => {
      if (event.type !== 'FragmentDistributionObtained') return
      for (const hash of event.fragments)
        promises.persisted.add(fragmentFileId({ hash, kind: 'slice' }))
    })
    if (!(await store.answer(`${collection} r1`))) {
      await bureau.notes.noteTemporary(collection, [kept, given], { distribution: 'd', epoch })
      for (const { id } of [kept, given]) promises.noted.add(id)
      await put(run, 'r1', [kept, given])
    }
    await end(bureau, ended(collection, kept, 'complete'), 'k')
    if (!promises.removed.has(given.id)) {
      promises.stored.delete(given.id)
      promises.moving.set(given.id, given.bytes)
    }
    await end(bureau, ended(collection, given, 'aborted'), 'k')
    promises.moving.delete(given.id)
    promises.removed.set(given.id, given.bytes)
    // Said late: what is kept for good is not given up.
    await end(bureau, ended(collection, kept, 'aborted'), 'k')
  },
}
