/**
 * Who lacks what: pure. Each pillar's listing is told once, then its tombstones; then it is known which pillars must be
 * listed once more, and of each file of that second listing who is to get it. In between only a few bytes a file are
 * kept, whatever its id.
 */
import { textDigest } from '../world/hashing.ts'
import type { World } from '../world/world.ts'
import { type Mark, openRows, type Rows } from './rows.ts'

/** What a pillar has under an id; times are milliseconds since 1970 by the pillar's own clock. */
export interface Held {
  readonly id: string
  readonly checksum: string
  /** Of the last store or confirmation. */
  readonly timestamp: number
}

export interface Buried {
  readonly id: string
  readonly checksum: string
  readonly removedAt: number
}

/** Pillars are numbers, in the order of the collection. */
export interface Comparing {
  /** All files first, of every pillar; */
  holds(pillar: number, file: Held): void
  /** this pillar was heard to its end: what it did not tell of, it lacks; */
  heard(pillar: number): void
  /** then the tombstones of those that were heard: what was deleted while we listened is among them. */
  buried(pillar: number, stone: Buried): void
  plan(): Plan
}

export interface Plan {
  /** How many files each pillar is to get. */
  readonly lacking: readonly number[]
  /** How many files each pillar must name in a second listing; the others need not be listed again. */
  readonly sources: readonly number[]
  /** Ids under which pillars have different bytes; at most `namedMax` of them by name. */
  readonly differing: Found
  /** Deleted on one pillar, later than any other has stored it, and still there on others: brought to nobody. */
  readonly buried: Found
  /** Only on pillars that are no sources yet. */
  readonly doubtful: number
  /** Who is to get this file, and who holds it, when this source tells of it; nobody when another one does. */
  due(source: number, file: Held): { readonly to: number[]; readonly holders: number[] }
}

export interface Found {
  readonly count: number
  readonly ids: readonly string[]
}

export interface CompareOptions {
  readonly pillars: number
  /** Pillars that were away for long: they get what they lack, and nothing is taken from them. */
  readonly doubted?: ReadonlySet<number>
  /** As many files as the fullest pillar says it has. */
  readonly expected?: number
}

/** So many ids of each finding are kept by name. */
export const namedMax = 1_000

/** What was told so far. */
interface Told {
  readonly rows: Rows
  readonly heard: Set<number>
  /** Files of each pillar. */
  readonly counts: number[]
  readonly differing: Set<number>
  readonly differingIds: Set<string>
  /** By row. */
  readonly stones: Map<number, Stone>
  /** The row of these very bytes. */
  rowOf(file: Pick<Held, 'id' | 'checksum'>): number | undefined
}

interface Stone {
  readonly id: string
  /** The latest. */
  readonly removedAt: number
  readonly pillars: Set<number>
}

export function comparing(world: World, options: CompareOptions): Comparing {
  const salt = [...world.random.bytes(16)].map((byte) => byte.toString(16)).join('.')
  const markOf = (text: string): Mark => {
    const hex = textDigest(`${salt}\0${text}`)
    return [Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8, 16), 16)]
  }
  const rows = openRows(options.pillars, options.expected)
  const told: Told = {
    rows,
    heard: new Set(),
    counts: new Array<number>(options.pillars).fill(0),
    differing: new Set(),
    differingIds: new Set(),
    stones: new Map(),
    rowOf({ id, checksum }) {
      const row = rows.find(markOf(id))
      return row !== undefined && rows.isAbout(row, markOf(`${id}\0${checksum}`)) ? row : undefined
    },
  }
  const { counts, differing, differingIds, stones } = told
  return {
    holds(pillar, file) {
      const substance = markOf(`${file.id}\0${file.checksum}`)
      const id = markOf(file.id)
      const row = rows.find(id) ?? rows.add(id, substance)
      counts[pillar] = (counts[pillar] ?? 0) + 1
      if (rows.isAbout(row, substance)) return rows.hold(row, pillar, file.timestamp)
      differing.add(row)
      if (differingIds.size < namedMax) differingIds.add(file.id)
    },
    heard: (pillar) => void told.heard.add(pillar),
    buried(pillar, { id, removedAt, checksum }) {
      const row = told.rowOf({ id, checksum })
      // What nobody has is no matter.
      if (row === undefined) return
      const known = stones.get(row) ?? { id, removedAt, pillars: new Set() }
      known.pillars.add(pillar)
      stones.set(row, { ...known, removedAt: Math.max(known.removedAt, removedAt) })
    },
    plan: () => planOf(told, options),
  }
}

function planOf(told: Told, { pillars, doubted = new Set() }: CompareOptions): Plan {
  const { rows, heard, counts, differing, stones } = told
  const all = Array.from({ length: pillars }, (_, pillar) => pillar)
  // The fullest first: most often one of them names all that others lack.
  const order = all
    .filter((one) => heard.has(one) && !doubted.has(one))
    .sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b)
  const sourceOf = (row: number) => order.find((one) => rows.holds(row, one))
  const isBuried = (row: number): boolean =>
    (stones.get(row)?.removedAt ?? Number.NEGATIVE_INFINITY) >= rows.newest(row)
  const isOut = (row: number): boolean => differing.has(row) || isBuried(row)
  const lackingOf = (row: number): number[] =>
    all.filter(
      (one) => heard.has(one) && !rows.holds(row, one) && !stones.get(row)?.pillars.has(one),
    )
  const lacking = all.map(() => 0)
  const sources = all.map(() => 0)
  let doubtful = 0
  for (let row = 0; row < rows.count; row++) {
    const to = isOut(row) ? [] : lackingOf(row)
    if (to.length === 0) continue
    const source = sourceOf(row)
    if (source === undefined) {
      doubtful++
      continue
    }
    sources[source] = (sources[source] ?? 0) + 1
    for (const one of to) lacking[one] = (lacking[one] ?? 0) + 1
  }
  return {
    ...{ lacking, sources, doubtful },
    differing: { count: differing.size, ids: [...told.differingIds].sort() },
    buried: foundBuried(told, all, isBuried),
    due(source, file) {
      const row = told.rowOf(file)
      if (row === undefined || isOut(row) || sourceOf(row) !== source)
        return { to: [], holders: [] }
      return { to: lackingOf(row), holders: all.filter((one) => rows.holds(row, one)) }
    },
  }
}

/** Deleted in one place and still there in another. */
function foundBuried(
  { rows, differing, stones }: Told,
  all: readonly number[],
  isBuried: (row: number) => boolean,
): Found {
  const found = [...stones].filter(
    ([row, { pillars }]) =>
      isBuried(row) &&
      !differing.has(row) &&
      all.some((one) => rows.holds(row, one) && !pillars.has(one)),
  )
  const ids = found.slice(0, namedMax).map(([, { id }]) => id)
  return { count: found.length, ids: ids.sort() }
}
