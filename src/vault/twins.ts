/** The same bytes under another id: pillars have them, and who may put into a collection may read all of it. */
import { audited } from '../store/incoming.ts'
import { partialOf } from '../store/names.ts'
import type { Actor, NewFile } from '../store/store.ts'
import { entryFor, fileOf, type VaultParts } from './settling.ts'
import { countingOf } from './telling.ts'

/** True when the file is in the catalogue now. First the text that tells of it: what is not told is told by the next start. */
export async function secondId(parts: VaultParts, file: NewFile, by: Actor): Promise<boolean> {
  const { world, view, index, disk, volume } = parts
  const { collection, id, size, checksum, mtime, replaces } = file
  const [row] = await index.receiving(collection, [id])
  if (replaces || row?.checksum !== checksum || row.size !== size) return false
  const twin = await volume.withBytes(collection, checksum, size)
  const slices = twin && (await view.slices(fileOf(file)))
  if (!slices || !(await areKept(parts, collection, slices))) return false
  const old = await view.entry(collection, id)
  const entry = entryFor(world, file, 'stored', slices, old)
  const now = world.clock.now()
  if (entry !== old) await view.change([{ do: 'entry', entry, at: now }])
  const { path } = row
  const stored = { collection, id, size, checksum, mtime, path, provenAt: twin.provenAt }
  const outcome = audited(world, file, by, 'ingestion', 'stored: pillars have these bytes')
  await index.commit([{ do: 'store', file: stored, now }, outcome])
  // Of an earlier try, if there was one.
  await disk.remove(partialOf(world, row))
  return true
}

/** Whether enough pillars that count keep each of them for good. */
async function areKept(
  parts: VaultParts,
  collection: string,
  slices: readonly { readonly hash: string }[],
): Promise<boolean> {
  const enough = parts.directory.collection(collection)?.copiesMin ?? 1
  const counting = new Set((await countingOf(parts)).map(({ pillar }) => pillar))
  const hashes = slices.map(({ hash }) => hash)
  const holders = await parts.view.holders(collection, hashes)
  return holders.every(
    (some) =>
      some.filter(({ pillar, stage }) => stage === 'persisted' && counting.has(pillar)).length >=
      enough,
  )
}
