/**
 * Catalogue and view from what pillars have: each pillar is read once. A tracker that lost its disk knows by it again of
 * names, sizes, times, versions and deletions; for a new one there is nothing to learn. What is newer here stays.
 */
import { type Change, foldPath, type StoredFile } from '../index/index.ts'
import { type Fragment, fragmentOfFileId } from '../protocol/fragments.ts'
import { audited } from '../store/incoming.ts'
import { pathAside, pathOf } from '../store/names.ts'
import type { Entry, ViewChange } from '../view/view.ts'
import { digestOf } from '../world/world.ts'
import { fileOf, type Settling, type VaultParts } from './settling.ts'
import { type Told, understood } from './text.ts'

/** What a pillar says of one stored file; those below `textsFolder` are wanted. */
export interface Listed {
  readonly id: string
  readonly size: number
  readonly checksum: string
}

/** Ids of texts begin so. */
export const textsFolder = 'files/'

export interface Learning {
  /** Reads what this pillar has of a collection, unless it was read before. Rejects when it can not be had. */
  learn(
    collection: string,
    pillar: string,
    listing: AsyncIterable<Listed>,
    texts: (fragments: readonly Fragment[]) => Promise<ReadonlyMap<string, string>>,
  ): Promise<void>
  /** It has texts that are not known here: it is to be read again. */
  doubt(collection: string, pillar: string): Promise<void>
  /** Whether it was read. */
  knows(collection: string, pillar: string): Promise<boolean>
  /** Pillars that may tell of files that are not known again yet; none once so few are unread that no file is theirs alone. */
  missing(): string[]
  /** When something was last learnt, milliseconds since 1970; undefined when all was known here. */
  learntAt(): number | undefined
}

/** When the catalogue was last learnt from pillars, milliseconds since 1970: a fact of the view. */
export const learntFact = 'catalogue learnt at'
const readFact = (collection: string, pillar: string): string => `read ${collection} ${pillar}`
const actor = { actor: 'rebuild', conversation: '' }
/** Of the listing of one pillar, in memory at a time. */
const infosMax = 16_384
/** Texts fetched at a time, and those that are made durable together. */
const textsAtATime = 64
const adoptedAtOnce = 512

export function learning(parts: VaultParts, work: Settling): Learning {
  const { world, view, directory } = parts
  const known = new Set<string>()
  const { knows, doubt } = whoIsRead(view, known)
  let learntAt: number | undefined
  const read = reading(parts, work, () => {
    learntAt = world.clock.now()
  })
  void load().catch((error) => world.log.error('vault.notLoaded', { why: String(error) }))

  async function load(): Promise<void> {
    const value = await view.fact(learntFact)
    for (const { name, fragments, pillars } of directory.document().collections)
      for (const pillar of fragments ? pillars : []) await knows(name, pillar)
    if (value !== undefined) learntAt ??= Number(value)
  }
  return {
    knows,
    doubt,
    learntAt: () => learntAt,
    missing: () =>
      learntAt === undefined
        ? []
        : directory.document().collections.flatMap(({ name, fragments, pillars, copiesMin }) => {
            const unread = pillars.filter((pillar) => !known.has(readFact(name, pillar)))
            // What was acknowledged is told of by as many pillars as that took.
            return fragments && unread.length >= copiesMin ? unread : []
          }),
    async learn(collection, pillar, listing, texts) {
      const pillars = directory.collection(collection)?.pillars ?? [pillar]
      let infos: Fragment[] = []
      let news = 0
      for await (const { id, size, checksum } of listing) {
        const named = fragmentOfFileId(id)
        if (named?.kind === 'info' && named.hash === checksum) infos.push({ ...named, size })
        if (infos.length < infosMax) continue
        news += await read(collection, turned(pillar, pillars, infos), texts)
        infos = []
      }
      news += await read(collection, turned(pillar, pillars, infos), texts)
      const now = world.clock.now()
      const key = readFact(collection, pillar)
      const facts: ViewChange[] = [{ do: 'fact', key, value: `${now}` }]
      if (news > 0) facts.push({ do: 'fact', key: learntFact, value: `${now}` })
      await view.change(facts)
      known.add(key)
      world.log.info('vault.learnt', { collection, pillar, files: news })
    },
  }
}

/** Reads what is not known yet of these, some at a time, and tells of news at once; gives how many there were. */
function reading(parts: VaultParts, { alone, isHere }: Settling, told: () => void) {
  const { world, view, volume, index } = parts
  /** How many were news. */
  async function adopt(collection: string, all: readonly Learnt[]): Promise<number> {
    const fresh: Learnt[] = []
    for (const one of newest(all)) {
      const old = await view.entry(collection, one.told.id)
      if (!old || old.version < one.told.version) fresh.push(one)
    }
    const rows = await volume.stored(
      collection,
      fresh.map(({ told }) => told.id),
    )
    const rewrite: Change[] = []
    const changes: ViewChange[] = []
    const taken = new Map<string, string>()
    for (const [n, { told, entry }] of fresh.entries()) {
      const row = rows[n]
      // Put here and not told of yet: it gets a version above this one.
      if (!row || !(await isHere(row))) rewrite.push(...(await catalogue(parts, told, row, taken)))
      const slices = told.slices.map((slice) => ({ ...slice, kind: 'slice' as const }))
      if (told.state === 'stored') changes.push({ do: 'file', file: fileOf(told), slices })
      changes.push({ do: 'entry', entry, at: world.clock.now() })
    }
    if (rewrite.length > 0) await index.commit(rewrite)
    if (changes.length > 0) await view.change(changes)
    if (fresh.length > 0) told()
    return fresh.length
  }
  async function isUnknown(collection: string, { hash }: Fragment): Promise<boolean> {
    const old = await view.fragment(collection, hash)
    return !old || old.wanted === 0
  }
  return async (
    collection: string,
    fragments: readonly Fragment[],
    texts: (fragments: readonly Fragment[]) => Promise<ReadonlyMap<string, string>>,
  ): Promise<number> => {
    let news = 0
    let at = 0
    const waiting: Learnt[] = []
    const take = async (): Promise<void> => {
      const some = waiting.splice(0)
      news += await alone(() => adopt(collection, some))
    }
    while (at < fragments.length) {
      const unknown = new Map<string, Fragment>()
      for (; at < fragments.length && unknown.size < textsAtATime; at++) {
        const fragment = fragments[at]
        if (fragment && (await isUnknown(collection, fragment)))
          unknown.set(fragment.hash, fragment)
      }
      if (unknown.size === 0) break
      const learnt: Learnt[] = []
      for (const [hash, text] of await texts([...unknown.values()])) {
        const fragment = unknown.get(hash)
        const about = understood(text)
        if (!fragment || about?.collection !== collection || digestOf(world, text) !== hash)
          continue
        const { id, version } = about
        learnt.push({ told: about, entry: { collection, id, version, text, fragment } })
      }
      waiting.push(...learnt)
      // The first at once: from then on it is known that there is something to learn.
      if (news === 0 || waiting.length >= adoptedAtOnce) await take()
    }
    await take()
    return news
  }
}

/** Of whom the texts were read: noted in the view, and in memory. */
function whoIsRead(view: VaultParts['view'], known: Set<string>) {
  return {
    async knows(collection: string, pillar: string): Promise<boolean> {
      const key = readFact(collection, pillar)
      if (!known.has(key) && ((await view.fact(key)) ?? '') !== '') known.add(key)
      return known.has(key)
    },
    async doubt(collection: string, pillar: string): Promise<void> {
      const key = readFact(collection, pillar)
      known.delete(key)
      await view.change([{ do: 'fact', key, value: '' }])
    },
  }
}

interface Learnt {
  readonly told: Told
  readonly entry: Entry
}

/** Of each id the one of the greatest version. */
function newest(all: readonly Learnt[]): Learnt[] {
  const found = new Map<string, Learnt>()
  for (const one of all) {
    const other = found.get(one.told.id)
    if (!other || other.told.version < one.told.version) found.set(one.told.id, one)
  }
  return [...found.values()]
}

/** Begun elsewhere for each pillar: those that are read at the same time do not all bring the same. */
function turned<T>(pillar: string, pillars: readonly string[], all: readonly T[]): readonly T[] {
  const begin = Math.floor((Math.max(0, pillars.indexOf(pillar)) / pillars.length) * all.length)
  return [...all.slice(begin), ...all.slice(0, begin)]
}

/** What was told becomes what the index says; `taken` are the places of those that are learnt with it. */
async function catalogue(
  { world, index, volume }: VaultParts,
  told: Told,
  row: StoredFile | undefined,
  taken: Map<string, string>,
): Promise<Change[]> {
  const { collection, id, size, checksum, mtime, state } = told
  const same = row?.checksum === checksum && row.mtime === mtime
  const now = world.clock.now()
  const changes: Change[] = []
  if (state === 'stored' ? !same : await unburied(volume, told)) {
    const plain = pathOf(world, id)
    const place = foldPath(plain)
    const by = taken.get(place) ?? (await index.atPath(collection, place))
    const path = by === undefined || by === id ? plain : pathAside(world, id)
    taken.set(place, id)
    const file = { collection, id, size, checksum, mtime, path, provenAt: 0 }
    changes.push({ do: 'store', file, now })
    changes.push(audited(world, file, actor, 'recovery', 'learnt from pillars'))
  }
  if (state === 'deleted' && (row || changes.length > 0))
    changes.push({ do: 'remove', collection, id, now })
  return changes
}

async function unburied(volume: VaultParts['volume'], told: Told): Promise<boolean> {
  const { collection, id, checksum } = told
  const [stone] = (await volume.tombstones({ collection, ids: [id], limit: 1 })).tombstones
  return stone?.checksum !== checksum
}
