/**
 * Catalogue and view from what pillars have: each pillar is read once. A tracker that lost its disk knows by it again of
 * names, sizes, times, versions and deletions; for a new one there is nothing to learn. What is newer here stays.
 */
import { type Change, foldPath } from '../index/index.ts'
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
/** Texts fetched at a time. */
const textsAtATime = 64

export function learning(parts: VaultParts, { alone, isHere }: Settling): Learning {
  const { world, view, volume, directory } = parts
  const known = new Set<string>()
  const { knows, doubt } = whoIsRead(view, known)
  let learntAt: number | undefined
  void load().catch((error) => world.log.error('vault.notLoaded', { why: String(error) }))

  async function load(): Promise<void> {
    const value = await view.fact(learntFact)
    for (const { name, fragments, pillars } of directory.document().collections)
      for (const pillar of fragments ? pillars : []) await knows(name, pillar)
    if (value !== undefined) learntAt ??= Number(value)
  }
  /** True when it was news. */
  async function adopt(told: Told, entry: Entry): Promise<boolean> {
    const old = await view.entry(told.collection, told.id)
    if (old && old.version >= told.version) return false
    const [row] = await volume.stored(told.collection, [told.id])
    // Put here and not told of yet: it gets a version above this one.
    if (!row || !(await isHere(row))) await catalogue(parts, told)
    const slices = told.slices.map((slice) => ({ ...slice, kind: 'slice' as const }))
    const changes: ViewChange[] = [{ do: 'entry', entry, at: world.clock.now() }]
    if (told.state === 'stored') changes.unshift({ do: 'file', file: fileOf(told), slices })
    await view.change(changes)
    learntAt = world.clock.now()
    return true
  }
  async function read(
    collection: string,
    fragments: readonly Fragment[],
    texts: (fragments: readonly Fragment[]) => Promise<ReadonlyMap<string, string>>,
  ): Promise<number> {
    let news = 0
    const unknown: Fragment[] = []
    for (const fragment of fragments) {
      const old = await view.fragment(collection, fragment.hash)
      if (!old || old.wanted === 0) unknown.push(fragment)
    }
    for (let at = 0; at < unknown.length; at += textsAtATime)
      for (const [hash, text] of await texts(unknown.slice(at, at + textsAtATime))) {
        const fragment = unknown.find((one) => one.hash === hash)
        const told = understood(text)
        if (!fragment || told?.collection !== collection || digestOf(world, text) !== hash) continue
        const { id, version } = told
        if (await alone(() => adopt(told, { collection, id, version, text, fragment }))) news++
      }
    return news
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
      const infos: Fragment[] = []
      for await (const { id, size, checksum } of listing) {
        const named = fragmentOfFileId(id)
        if (named?.kind === 'info' && named.hash === checksum) infos.push({ ...named, size })
      }
      const news = await read(collection, infos, texts)
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

/** What was told becomes what the index says. */
async function catalogue({ world, index, volume }: VaultParts, told: Told): Promise<void> {
  const { collection, id, size, checksum, mtime, state } = told
  const [row] = await volume.stored(collection, [id])
  const same = row?.checksum === checksum && row.mtime === mtime
  const now = world.clock.now()
  const changes: Change[] = []
  if (state === 'stored' ? !same : await unburied(volume, told)) {
    const plain = pathOf(world, id)
    const taken = await index.atPath(collection, foldPath(plain))
    const path = taken === undefined || taken === id ? plain : pathAside(world, id)
    const file = { collection, id, size, checksum, mtime, path, provenAt: 0 }
    changes.push({ do: 'store', file, now })
    changes.push(audited(world, file, actor, 'recovery', 'learnt from pillars'))
  }
  if (state === 'deleted' && (row || changes.length > 0))
    changes.push({ do: 'remove', collection, id, now })
  await index.commit(changes)
}

async function unburied(volume: VaultParts['volume'], told: Told): Promise<boolean> {
  const { collection, id, checksum } = told
  const [stone] = (await volume.tombstones({ collection, ids: [id], limit: 1 })).tombstones
  return stone?.checksum !== checksum
}
