/** Listings and single rows of several volumes as if they were one. */
import type {
  CollectionSummary,
  ListQuery,
  Page,
  StoredFile,
  TombstonePage,
} from '../index/index.ts'
import { type Answered, counted, type Member, type Members } from './pool-members.ts'
import type { Shadows } from './pool-overlap.ts'
import { marked, slotOf, unmarked } from './pool-slots.ts'
import type { Stamps } from './stamps.ts'
import type { Reading, Removing } from './store.ts'

export interface PoolParts {
  readonly members: Members
  readonly stamps: Stamps
  readonly shadows: Shadows
}

interface Row {
  readonly timestamp: number
  readonly id: string
}

/** The order of listings, which is that of each index: ids by their code points. */
const compared = (a: Row, b: Row): number => a.timestamp - b.timestamp || byPoints(a.id, b.id)

function byPoints(a: string, b: string): number {
  for (let n = 0; n < a.length && n < b.length; n++) {
    const [one, two] = [a.charCodeAt(n), b.charCodeAt(n)]
    if (one === two) continue
    // Surrogates stand for characters that come after all others.
    return isSurrogate(one) === isSurrogate(two) ? one - two : isSurrogate(one) ? 1 : -1
  }
  return a.length - b.length
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xe000

interface Part<R extends Row> {
  readonly rows: readonly R[]
  /** How far it goes: there is more behind this row. */
  readonly until?: Row | undefined
}

/** The first rows of all parts together. */
function merged<R extends Row>(
  parts: readonly Part<R>[],
  limit: number,
): { rows: R[]; partial: boolean } {
  const bounds = parts.flatMap(({ until }) => (until ? [until] : []))
  const rows = parts
    .flatMap((part) => part.rows)
    .sort(compared)
    .filter((row) => bounds.every((bound) => compared(row, bound) <= 0))
  const partial = bounds.length > 0 || rows.length > limit
  return { rows: rows.slice(0, limit), partial }
}

/** Up to the times that were given when the question came: what is stored meanwhile comes with the next one. */
async function settledQuery({ members, stamps }: PoolParts, query: ListQuery): Promise<ListQuery> {
  const upTo = stamps.last()
  // Of a volume that does not answer nothing is listed anyway.
  await members.each((member) => stamps.settled(member.index))
  return { ...query, maxTimestamp: Math.min(query.maxTimestamp ?? upTo, upTo) }
}

export async function storedOn(
  { members, shadows }: PoolParts,
  collection: string,
  ids: readonly string[],
): Promise<(StoredFile | undefined)[]> {
  const answers = await members.each((member) => member.store.stored(collection, ids))
  return ids.map((id, n) => {
    for (const { member, value } of answers) {
      const row = value[n]
      if (row && !shadows.has(member.id, collection, id)) return marked(member.slot, row)
    }
    return undefined
  })
}

export function poolReading(
  parts: PoolParts,
): Omit<Reading, 'auditTrail' | 'verifyTrail' | 'stored'> & Pick<Removing, 'tombstones'> {
  const { members, shadows } = parts

  async function list(query: ListQuery): Promise<Page> {
    const asked = await settledQuery(parts, query)
    const pages = await members.each((member) => member.store.list(asked))
    const { rows, partial } = merged(
      pages.map(({ member, value: { files, partial } }) => ({
        rows: files
          .filter(({ id }) => !shadows.has(member.id, query.collection, id))
          .map((file) => marked(member.slot, file)),
        until: partial ? files.at(-1) : undefined,
      })),
      query.limit,
    )
    const after = rows.at(-1) ?? lastOf(pages)
    // All of a page stood in another's shadow.
    return rows.length === 0 && partial && after
      ? list({ ...asked, after })
      : { files: rows, partial }
  }
  async function tombstones(query: ListQuery): Promise<TombstonePage> {
    const asked = await settledQuery(parts, query)
    const pages = await members.each((member) => member.store.tombstones(asked))
    const stones = await Promise.all(
      pages.map(async ({ member, value }) => {
        const ids = value.tombstones.map(({ id }) => id)
        const later = await laterThan(parts, member, query.collection, ids)
        return {
          rows: value.tombstones.filter((stone) => !later(stone)),
          until: value.partial ? value.tombstones.at(-1) : undefined,
        }
      }),
    )
    const { rows, partial } = merged(stones, query.limit)
    const after = rows.at(-1) ?? stones.find(({ until }) => until)?.until
    return rows.length === 0 && partial && after
      ? tombstones({ ...asked, after: { timestamp: after.timestamp, id: after.id } })
      : { tombstones: rows, partial }
  }
  return {
    list,
    tombstones,
    async withBytes(collection, checksum, size) {
      const answers = await members.each((member) =>
        member.store.withBytes(collection, checksum, size),
      )
      for (const { member, value } of answers) if (value) return marked(member.slot, value)
      return undefined
    },
    async summary() {
      const answers = await members.each((member) => member.store.summary())
      for (const { member, value } of answers) counted(member, value)
      return summed(answers, shadows)
    },
    async *read(file, offset, length) {
      const member = members.at(slotOf(file.sequence))
      if (!member) throw new Error(members.away() ?? 'its volume is not available')
      yield* member.store.read(unmarked(file), offset, length)
    },
  }
}

const lastOf = (pages: readonly Answered<Page>[]): Row | undefined =>
  pages.find(({ value }) => value.partial)?.value.files.at(-1)

/** Whether something is known on another volume that came after such a deletion. */
async function laterThan(
  { members }: PoolParts,
  from: Member,
  collection: string,
  ids: readonly string[],
): Promise<(stone: Row) => boolean> {
  if (ids.length === 0) return () => false
  const later = new Map<string, number>()
  await members.each(async ({ id, store }) => {
    if (id === from.id) return
    for (const row of await store.stored(collection, ids))
      if (row) later.set(row.id, Number.POSITIVE_INFINITY)
    const { tombstones } = await store.tombstones({ collection, ids, limit: ids.length })
    for (const stone of tombstones)
      later.set(stone.id, Math.max(later.get(stone.id) ?? 0, stone.timestamp))
  })
  return ({ id, timestamp }) => (later.get(id) ?? 0) > timestamp
}

/** An id stands on one volume only, so that counts add up; of digests the sum is XOR. */
function summed(
  answers: readonly Answered<CollectionSummary[]>[],
  shadows: Shadows,
): CollectionSummary[] {
  const sums = new Map<string, CollectionSummary>()
  for (const { member, value } of answers)
    for (const one of value) {
      const { collection } = one
      const mine = shadows.without(member.id, one)
      const sum = sums.get(collection)
      sums.set(
        collection,
        sum
          ? {
              collection,
              files: sum.files + mine.files,
              bytes: sum.bytes + mine.bytes,
              digest: xored(sum.digest, mine.digest),
            }
          : mine,
      )
    }
  return [...sums.values()].sort((a, b) => (a.collection < b.collection ? -1 : 1))
}

const xored = (a: string, b: string): string =>
  (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(16).padStart(a.length, '0')
