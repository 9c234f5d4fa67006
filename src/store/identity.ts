/** `volume.json`: whose disk this is. Without it nothing is ever written: an unplugged disk is no empty one. */
import type { Disk } from '../disk/disk.ts'
import { type PillarKind, timeText } from '../protocol/scalars.ts'
import type { World } from '../world/world.ts'
import type { Health } from './health.ts'

export interface VolumeIdentity {
  /** Version of the layout on disk. */
  readonly format: 1
  readonly volume: string
  readonly pillar: string
  readonly archive: string
  readonly created: string
  /** UUID of the file system it was adopted on; unknown where the system does not tell. */
  readonly fileSystem?: string
  /** Absent where files are kept. */
  readonly kind?: 'checksum'
}

/** Stands beside an index whose database is damaged itself. */
export const indexDamaged = '.index.damaged'

export class WrongVolume extends Error {
  override readonly name = 'WrongVolume'
}

/** Reads and checks; rejects with `WrongVolume` and a sentence when this is not the pillar's volume. */
export async function readIdentity(
  disk: Disk,
  expected: { pillar: string; archive: string; kind?: PillarKind },
): Promise<VolumeIdentity> {
  const stat = await disk.stat('volume.json')
  if (!stat)
    throw new WrongVolume('no volume.json here: the disk is not plugged in, or was never adopted')
  const text = new TextDecoder().decode(
    await disk.read('volume.json', 0, Math.min(stat.size, 65_536)),
  )
  const identity = parseIdentity(text)
  if (identity === 'newer')
    throw new WrongVolume('this volume was written by a newer release: update this one')
  if (!identity) throw new WrongVolume('volume.json is damaged')
  if (identity.pillar !== expected.pillar || identity.archive !== expected.archive)
    throw new WrongVolume(
      `this volume belongs to the pillar ${identity.pillar} of the archive ${identity.archive}, not to ${expected.pillar} of ${expected.archive}`,
    )
  // An index of checksums would tell of files that are not there, and the other way round.
  const [found, wanted] = [identity.kind ?? 'file', expected.kind ?? 'file']
  if (found !== wanted)
    throw new WrongVolume(
      `this volume was adopted by a ${found} pillar, and the configuration says \`kind = "${wanted}"\``,
    )
  return identity
}

function parseIdentity(text: string): VolumeIdentity | 'newer' | undefined {
  try {
    const { format, volume, pillar, archive, created, fileSystem, kind } = JSON.parse(
      text,
    ) as Record<string, unknown>
    if (typeof format === 'number' && format > 1) return 'newer'
    if (format !== 1 || typeof volume !== 'string' || typeof pillar !== 'string') return undefined
    if (typeof archive !== 'string' || typeof created !== 'string') return undefined
    if (kind !== undefined && kind !== 'checksum') return undefined
    if (fileSystem !== undefined && typeof fileSystem !== 'string') return undefined
    return {
      ...{ format, volume, pillar, archive, created },
      ...(fileSystem ? { fileSystem } : {}),
      ...(kind ? { kind } : {}),
    }
  } catch {
    return undefined
  }
}

/**
 * Makes an empty folder of a disk a volume; refuses one that is a volume already, or was one and lost its
 * `volume.json`: what it holds would be nobody's.
 */
export async function adoptVolume(
  world: World,
  disk: Disk,
  owner: {
    pillar: string
    archive: string
    volume: string
    kind?: PillarKind
    fileSystem?: string | undefined
  },
): Promise<VolumeIdentity> {
  if (await disk.stat('volume.json')) throw new WrongVolume('this is a volume already')
  for (const { name } of await disk.list(''))
    if (await disk.stat(`${name}/data`))
      throw new WrongVolume(`there are files of a collection ${name} here, and no volume.json`)
  const created = timeText(world.clock.now())
  const { kind = 'file', fileSystem, ...about } = owner
  const identity: VolumeIdentity = {
    format: 1,
    ...about,
    created,
    ...(fileSystem ? { fileSystem } : {}),
    ...(kind === 'checksum' ? { kind } : {}),
  }
  await writeWhole(disk, 'READ-ME-FIRST.txt', readMe(identity))
  await disk.mkdir('.incoming')
  await disk.mkdir('.retained')
  await disk.syncDir('')
  await writeWhole(disk, 'volume.json', `${JSON.stringify(identity, undefined, 2)}\n`)
  return identity
}

/** The volume was moved to another file system, by its owner: from now on that one is its own. */
export async function readopt(
  disk: Disk,
  identity: VolumeIdentity,
  fileSystem: string | undefined,
): Promise<void> {
  const { fileSystem: _, ...about } = identity
  const fresh = { ...about, ...(fileSystem ? { fileSystem } : {}) }
  await writeWhole(disk, 'volume.json', `${JSON.stringify(fresh, undefined, 2)}\n`)
}

/** A small file, replaced in one step. */
export async function writeWhole(
  disk: Disk,
  path: string,
  text: string,
  { guard, guardSync }: Pick<Health, 'guard' | 'guardSync'> = unguarded,
): Promise<void> {
  const temporary = `${path}.new`
  // What a run that was cut has left there may be longer.
  await guard(disk.remove(temporary))
  await guard(disk.write(temporary, 0, new TextEncoder().encode(text)))
  await guardSync(disk.sync(temporary))
  await guard(disk.rename(temporary, path))
  await guardSync(disk.syncDir(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''))
}

const unguarded: Pick<Health, 'guard' | 'guardSync'> = {
  guard: (step) => step,
  guardSync: (step) => step,
}

const readMe = (identity: VolumeIdentity): string =>
  identity.kind === 'checksum' ? readMeOfChecksums(identity) : readMeOfFiles(identity)

const readMeOfChecksums = ({
  pillar,
  archive,
  volume,
  created,
}: VolumeIdentity): string => `DO NOT FORMAT THIS DISK: it can prove whether copies of somebody's files are right.

This is a volume of a checksum pillar of a Colonnade archive: there are no files here, only their checksums.
  archive  ${archive}
  pillar   ${pillar}
  volume   ${volume}
  since    ${created}

To check a copy of a collection that stands on another disk of this archive, on any computer with the usual tools:
  cd OTHER-DISK/colonnade/COLLECTION && sha256sum -c THIS-DISK/colonnade/COLLECTION/manifest-sha256.txt
`

const readMeOfFiles = ({
  pillar,
  archive,
  volume,
  created,
}: VolumeIdentity): string => `DO NOT FORMAT THIS DISK: it holds copies of somebody's files.

This is a volume of a Colonnade archive.
  archive  ${archive}
  pillar   ${pillar}
  volume   ${volume}
  since    ${created}

The same files are kept by other pillars of this archive, at other places.

To read it, no program is needed. Each folder here without a dot is one collection; its files stand below data/
under their own names and with their own times. In names, "=" and two hexadecimal digits stand for one character
that some disks or tools can not carry ("=25" is "%"); names.txt lists the true names of those that are too long.

To check it, on any computer with the usual tools:
  cd COLLECTION && sha256sum -c manifest-sha256.txt
or, with everything that the lists say:
  sh check.sh
Each collection is a BagIt bag (RFC 8493).
`

/** Whether this file system takes names that differ only in case for the same. */
export const foldsNames = async (disk: Disk): Promise<boolean> =>
  (await disk.stat('VOLUME.JSON')) !== undefined
