/**
 * How much may be destroyed here in a day, whatever messages say: floors of this board, and the owner's rule against changes
 * of very many files at once. It is counted durably before anything goes.
 */
import { limits } from '../limits.ts'
import type { AlarmCode } from '../protocol/alarms.ts'
import type { ArchiveDocument } from '../protocol/document.ts'
import { massAllowed, massLimit } from '../protocol/mass-changes.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { type FloorBook, openFloorBook } from './floor-book.ts'

/** Of the board's configuration. */
export interface FloorOptions {
  /** Files that one identity may delete or replace in a day. */
  readonly changes: number
  /** Files that all identities together may. */
  readonly changesAll: number
  /** Per cent of the fragments of a collection that the tracker may have thrown away in a day as unwanted. */
  readonly unwantedPercent: number
}

export const usualFloors: FloorOptions = { changes: 2_000, changesAll: 5_000, unwantedPercent: 5 }

/** Somebody wants to destroy so many files; `drop`: the tracker says that nobody needs these fragments. */
export interface Wish {
  readonly by: string
  readonly collection: string
  readonly files: number
  readonly kind: 'change' | 'drop'
}

export interface Floors {
  /** Why not all of these may go now; undefined when they may. Counts nothing. */
  objection(wish: Wish): Promise<string | undefined>
  /** Counts as many of them as may go; resolves only once that would survive a power cut. */
  spend(wish: Wish): Promise<{ readonly granted: number; readonly why?: string }>
  /** Notes how long the pillar has run, if that matters. */
  note(): Promise<void>
}

interface FloorParts {
  readonly world: Pick<World, 'clock'>
  readonly name: string
  readonly state: State
  readonly options: FloorOptions
  document(): ArchiveDocument
  /** How many files of a collection are stored here. */
  stored(collection: string): Promise<number>
  alarm(code: AlarmCode, text: string, about?: { collection?: string }): void
}

export function floors(parts: FloorParts): Floors {
  const { state, world } = parts
  let known: Promise<FloorBook> | undefined
  // Who can not read it destroys nothing, and tries again.
  const opened = (): Promise<FloorBook> => {
    known ??= openFloorBook(state, world.clock).catch((error) => {
      known = undefined
      throw error
    })
    return known
  }
  // What one reads and writes, no other may have written meanwhile.
  const one = lock()
  async function objection(wish: Wish): Promise<string | undefined> {
    const book = await opened()
    const { files, why } = await left(parts, book, wish)
    if (wish.files <= files) return undefined
    await cry(parts, book, wish, why)
    return why
  }
  async function spend(wish: Wish): Promise<{ granted: number; why?: string }> {
    if (wish.files === 0) return { granted: 0 }
    const book = await opened()
    const { files, why } = await left(parts, book, wish)
    const granted = Math.min(wish.files, files)
    if (granted > 0) await book.spend(accountOf(wish), wish.collection, granted)
    if (granted === wish.files) return { granted }
    await cry(parts, book, wish, why)
    return { granted, why }
  }
  const unknown = (error: unknown): string =>
    `nobody knows how much went today: ${error instanceof Error ? error.message : String(error)}`
  return {
    objection: (wish) => one(() => objection(wish).catch(unknown)),
    spend: (wish) => one(() => spend(wish).catch((error) => ({ granted: 0, why: unknown(error) }))),
    note: () => one(async () => (await opened()).keep()),
  }
}

const accountOf = ({ kind, by }: Wish): string => `${kind} ${by}`

/** How many more may go, and the sentence for all beyond. */
async function left(
  { options, name, world, stored, document }: FloorParts,
  book: FloorBook,
  wish: Wish,
): Promise<{ readonly files: number; readonly why: string }> {
  const { by, collection, kind } = wish
  const isMine = (account: string): boolean => account === accountOf(wish)
  const here = book.spent(isMine, collection)
  const base = await book.base(collection, () => stored(collection))
  if (kind === 'drop') {
    const most = Math.max(limits.massFilesMin, Math.floor((base * options.unwantedPercent) / 100))
    const why = `${name} throws away ${most} fragments a day at most`
    return { files: Math.max(0, most - here), why }
  }
  const floor = `${name} changes no more than`
  const allowed = massAllowed(document(), by, collection, world.clock.now())
  const most = Math.max(massLimit(base), allowed)
  return smallest([
    {
      files: options.changes - book.spent(isMine),
      why: `${floor} ${options.changes} files a day for ${by}, whatever it is told`,
    },
    {
      files: options.changesAll - book.spent((account) => account.startsWith('change ')),
      why: `${floor} ${options.changesAll} files a day, whatever it is told`,
    },
    {
      files: most - here,
      why: `${by} would change more than ${most} files of ${collection} in a day; the owner allows more by \`colonnade collection allow\``,
    },
  ])
}

function smallest<T extends { readonly files: number }>(some: readonly [T, ...T[]]): T {
  const least = some.reduce((a, b) => (b.files < a.files ? b : a))
  return { ...least, files: Math.max(0, least.files) }
}

/** One alarm a day, however often it is asked. */
async function cry({ alarm }: FloorParts, book: FloorBook, wish: Wish, why: string): Promise<void> {
  if (!book.isNews(accountOf(wish))) return
  const what = wish.kind === 'drop' ? 'fragments to be thrown away' : 'files to be changed'
  const { by, collection } = wish
  alarm('FAILED_OPERATION', `${by} wants too many ${what}: ${why}`, { collection })
  await book.keep()
}
