/**
 * Damage of the books, and not of the bytes: a row of the index that was altered, a line of the manifest, or both saying
 * different things. Bytes and the line of the manifest that agree decide; bytes and the row that agree do so where there is no
 * such line. What nobody can decide is not answered with, and its bytes stay where they are: other pillars have them.
 */
import type { Disk } from '../disk/disk.ts'
import { type DamagedRow, type Index, type StoredFile, staleBag } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { described } from './bag-tags.ts'
import type { Health } from './health.ts'
import { audited } from './incoming.ts'
import { checksumOf, idOfPath, saidOf } from './lists.ts'
import { pathOf } from './names.ts'
import type { NewsDesk } from './news.ts'
import { digestAt } from './recovery.ts'
import type { Actor } from './store.ts'

export interface MendingParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
  readonly news: NewsDesk
}

const self = { actor: 'mending', conversation: '' }
const event = 'metadata modification'

type Known = Omit<StoredFile, 'timestamp' | 'sequence'>

/** Nothing else may be stored or accepted while one of these is at work. */
export function mending(parts: MendingParts) {
  const { world, disk, index, health, news } = parts

  /** An altered row: what is true stands in its place, if anybody can tell. */
  async function row(damage: DamagedRow): Promise<void> {
    const stillIs = (await index.damaged()).some(
      (one) => one.says.sequence === damage.says.sequence,
    )
    if (!stillIs) return
    const known = await truth(parts, damage.says)
    const about = known?.file ?? damage
    const [now, outcome] = [world.clock.now(), known ? known.how : undecided]
    await health.guard(
      index.commit([
        { do: 'mend', row: damage, now, ...(known ? { file: known.file } : {}) },
        audited(world, about, self, event, outcome),
      ]),
    )
    tell(about, `its row in the index was altered: ${outcome}`)
  }
  /**
   * Whether it is the row that is wrong, and not the bytes: then the row is put right. Said by whoever found that bytes and row
   * differ.
   */
  async function contradicted(file: StoredFile, by: Actor): Promise<boolean> {
    const { collection, id, path } = file
    const [held] = await index.stored(collection, [id])
    const said = await checksumOf(disk, collection, path)
    if (held?.sequence !== file.sequence) return true
    if (said === undefined || said === file.checksum) return false
    const found = await bytesAt(parts, collection, path)
    if (found?.checksum !== said) return false
    const now = world.clock.now()
    const right: Known = { ...file, size: found.size, checksum: said, provenAt: now }
    await health.guard(
      index.commit([
        { do: 'store', file: right, now },
        audited(world, file, by, event, byManifest),
      ]),
    )
    tell(file, `the index had another checksum: ${byManifest}`)
    return true
  }
  /** Whether the manifest has another checksum than the row: then bytes that are neither prove nothing against either. */
  async function isUndecided({ collection, path, checksum }: StoredFile): Promise<boolean> {
    const said = await checksumOf(disk, collection, path)
    return said !== undefined && said !== checksum
  }
  /** The lists differ from the index; they are written anew from it. */
  async function lists(collection: string, how: string): Promise<void> {
    await health.guard(
      index.commit([
        { do: 'fact', key: staleBag(collection), value: 'yes' },
        { do: 'fact', key: described(collection), value: '' },
        audited(world, { collection, id: '' }, self, event, how),
      ]),
    )
    news.tell({ code: 'INTEGRITY_ISSUE', text: `${collection}: ${how}`, collection })
  }
  function tell({ collection, id }: { collection: string; id: string }, text: string): void {
    world.log.warn('volume.mended', { collection, id, how: text })
    news.tell({ code: 'INTEGRITY_ISSUE', text: `${id}: ${text}`, collection, fileId: id })
  }
  return { row, contradicted, isUndecided, lists }
}

const byManifest = 'put right by the manifest, which agrees with the bytes'
const byItself = 'put right by its checksum, which agrees with the bytes'
const undecided = 'not to be decided here, so it is asked of other pillars; the bytes stay'

/** What can be told of a row that was altered; any one field of it may be wrong. */
async function truth(
  parts: MendingParts,
  says: StoredFile,
): Promise<{ readonly file: Known; readonly how: string } | undefined> {
  const { world, disk } = parts
  const { collection, id } = says
  for (const path of new Set([says.path, pathOf(world, id)])) {
    const found = await bytesAt(parts, collection, path)
    if (!found) continue
    const said = await saidOf(disk, collection, path)
    const isSaid = found.checksum === said.checksum
    if (!isSaid && found.checksum !== says.checksum) continue
    const { checksum, size } = found
    const name = said.id ?? idOfPath(path) ?? id
    const file: Known = {
      ...{ collection, id: name, size, checksum, path },
      mtime: said.mtime ?? (Math.abs(says.mtime - found.mtime) < 2_000 ? says.mtime : found.mtime),
      provenAt: world.clock.now(),
    }
    return { file, how: isSaid ? byManifest : byItself }
  }
  return undefined
}

async function bytesAt(
  { world, disk }: MendingParts,
  collection: string,
  path: string,
): Promise<{ checksum: string; size: number; mtime: number } | undefined> {
  const at = `${collection}/data/${path}`
  const stat = await disk.stat(at).catch(() => undefined)
  if (stat?.kind !== 'file') return undefined
  const checksum = await digestAt(world, disk, at, stat.size).catch(() => undefined)
  return checksum === undefined ? undefined : { checksum, size: stat.size, mtime: stat.mtime }
}
