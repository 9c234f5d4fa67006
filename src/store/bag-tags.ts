/** What a bag says of itself: how much there is, and the digests of its lists. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { timeText } from '../protocol/scalars.ts'
import type { World } from '../world/world.ts'
import type { Health } from './health.ts'
import { type VolumeIdentity, writeWhole } from './identity.ts'
import { manifestFile, namesFile, timesFile, tombstonesFile } from './lists.ts'
import { digestAt } from './recovery.ts'

export const bagDeclaration = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'

const tagManifest = 'tagmanifest-sha256.txt'
const tagFiles = ['bagit.txt', 'bag-info.txt', manifestFile, timesFile, namesFile, tombstonesFile]

/** Larger lists are digested once a day and at the end, not after every change. */
const digestedAtOnceBytes = 8 * 1024 * 1024

/** The fact that says of what the description is; another value has it written anew. */
export const described = (collection: string): string => `oxum ${collection}`

/** Of a collection that is spread over several volumes (RFC 8493 §2.2.2). */
export interface BagGroup {
  readonly identifier: string
  /** `2 of 3`, or `2 of ?`. */
  readonly count: string
}

export interface Labels extends Pick<VolumeIdentity, 'archive' | 'pillar' | 'volume'> {
  /** What a bag says of those of the same collection on other volumes. */
  group?(collection: string): BagGroup | undefined
}

const infoOf = (
  { archive, pillar, volume }: Labels,
  collection: string,
  date: string,
  oxum: string,
  group: BagGroup | undefined,
): string => `Bag-Software-Agent: Colonnade
Bagging-Date: ${date}
External-Identifier: ${collection}
Bag-Group-Identifier: ${group?.identifier ?? archive}
${group ? `Bag-Count: ${group.count}\n` : ''}Internal-Sender-Identifier: ${pillar}/${volume}
Payload-Oxum: ${oxum}
`

/** Says how much there is and when; only when something changed, since each line costs two writes of the disk. */
export async function describeBag(
  world: World,
  disk: Disk,
  index: Index,
  health: Health,
  labels: Labels,
  collection: string,
): Promise<void> {
  const summary = (await index.summary()).find((one) => one.collection === collection)
  if (!summary) return
  const oxum = `${summary.bytes}.${summary.files}`
  const group = labels.group?.(collection)
  const told = [oxum, labels.pillar, ...(group ? [group.count] : [])]
  const [key, value] = [described(collection), told.join(' ')]
  if ((await index.fact(key)) === value) return
  await dropTags(disk, health, collection)
  await writeWhole(disk, `${collection}/bagit.txt`, bagDeclaration, health)
  const date = timeText(world.clock.now()).slice(0, 10)
  const info = infoOf(labels, collection, date, oxum, group)
  await writeWhole(disk, `${collection}/bag-info.txt`, info, health)
  await health.guard(index.commit([{ do: 'fact', key, value }]))
}

/** Before a list is changed: a bag without it is whole, one with an old one is not. */
export async function dropTags(disk: Disk, health: Health, collection: string): Promise<void> {
  const path = `${collection}/${tagManifest}`
  if (!(await disk.stat(path))) return
  await health.guard(disk.remove(path))
  await health.guardSync(disk.syncDir(collection))
}

/** Digests the lists as they are; `all` also when they are large. */
export async function writeTags(
  world: World,
  disk: Disk,
  health: Health,
  collection: string,
  all: boolean,
): Promise<void> {
  const path = `${collection}/${tagManifest}`
  if ((await disk.stat(path)) || !(await disk.stat(`${collection}/bagit.txt`))) return
  const sizes = new Map<string, number>()
  for (const name of tagFiles) {
    const stat = await disk.stat(`${collection}/${name}`)
    if (stat) sizes.set(name, stat.size)
  }
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (!all && bytes > digestedAtOnceBytes) return
  let text = ''
  for (const [name, size] of sizes)
    text += `${await digestAt(world, disk, `${collection}/${name}`, size)}  ${name}\n`
  await writeWhole(disk, path, text, health)
}

/** Which of the files that it names are others than it says; none when there is no such list. */
export async function alteredTags(world: World, disk: Disk, collection: string): Promise<string[]> {
  const stat = await disk.stat(`${collection}/${tagManifest}`)
  if (!stat) return []
  const bytes = await disk.read(`${collection}/${tagManifest}`, 0, Math.min(stat.size, 4_096))
  const altered: string[] = []
  for (const line of new TextDecoder().decode(bytes).trimEnd().split('\n')) {
    const [digest, name = ''] = line.split('  ')
    const found = await disk.stat(`${collection}/${name}`)
    const now = found && (await digestAt(world, disk, `${collection}/${name}`, found.size))
    if (now !== digest) altered.push(name)
  }
  return altered
}
