/**
 * Index times of several volumes together: they never repeat, and whoever lists by them up to one that he has seen misses
 * nothing that is stored later on another volume. With one volume its index sees to that by itself.
 */
import type { Change, Index, ListQuery } from '../index/index.ts'
import type { Clock } from '../world/world.ts'

export interface Stamps {
  /** The index as the volume is to have it. */
  of(index: Index): Index
  /** From now on there are several. Goes beyond all times that these volumes have given. */
  share(indexes: readonly Index[]): Promise<void>
  /** All that is committed from now on has a later one. */
  last(): number
  /** Resolves when nothing is being committed to it any more that began before. */
  settled(index: Index): Promise<void>
}

type Timed = Extract<Change, { readonly do: 'store' | 'remove' | 'lose' | 'mend' }>
const timed: ReadonlySet<Change['do']> = new Set(['store', 'remove', 'lose', 'mend'])
const isTimed = (change: Change): change is Timed => timed.has(change.do)

const pageRows = 1_000

export function stamps({ now }: Pick<Clock, 'now'>): Stamps {
  let last: number | undefined
  const open = new WeakMap<Index, Set<Promise<void>>>()
  const stamped = (change: Change): Change => {
    if (last === undefined || !isTimed(change)) return change
    last = Math.max(Math.floor(change.now), last + 1)
    return { ...change, now: last }
  }
  /** Times in the future, by a clock that has been set back since. */
  async function raise(index: Index): Promise<void> {
    for (const { collection } of await index.summary()) {
      for (const list of [index.list, index.tombstones])
        for (let partial = true; partial; ) {
          const query: ListQuery = {
            ...{ collection, limit: pageRows },
            minTimestamp: (last ?? 0) + 1,
          }
          const page = await list(query)
          const rows = 'files' in page ? page.files : page.tombstones
          last = Math.max(last ?? 0, rows.at(-1)?.timestamp ?? 0)
          partial = page.partial
        }
    }
  }
  return {
    of(index) {
      const mine = new Set<Promise<void>>()
      const own: Index = {
        ...index,
        commit(changes) {
          const done = index.commit(changes.map(stamped))
          const ended = done.catch(() => undefined)
          mine.add(ended)
          void ended.then(() => mine.delete(ended))
          return done
        },
      }
      open.set(own, mine)
      return own
    },
    async share(indexes) {
      last = Math.max(last ?? 0, Math.floor(now()))
      await Promise.all(indexes.map(raise))
    },
    last: () => last ?? Number.MAX_SAFE_INTEGER,
    settled: async (index) => void (await Promise.all(open.get(index) ?? [])),
  }
}
