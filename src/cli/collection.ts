/** `colonnade collection`: what is kept in the archive, and by which rules; the owner changes them. */
import { readFileSync } from 'node:fs'
import { publishDocument } from '../client/document.ts'
import {
  type ArchiveDocument,
  type Collection,
  fragmentBytesMax,
  fragmentBytesMin,
} from '../protocol/document.ts'
import { isName, timeValue } from '../protocol/scalars.ts'
import { nodeSigner } from '../trust/keys.ts'
import type { Signer } from '../trust/trust.ts'
import { formatBytes } from '../world/units.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, many, reasonOf, table } from './output.ts'
import { rolesIn } from './roles.ts'

export interface CollectionOptions {
  /** Who is to keep it; chosen among all that keep files when none is named. */
  readonly pillar?: readonly string[]
  readonly copies?: number
  readonly copiesMin?: number
  readonly appendOnly?: boolean
  /** How many people must want it before anything is replaced or deleted. */
  readonly approvals?: number
  /** Milliseconds that deleted and replaced bytes are kept aside at least. */
  readonly retain?: number
  /** Bytes; whole files on each pillar when absent. */
  readonly fragmentSize?: number
  /** In at least so many places. */
  readonly sites?: number
  /** Where the owner's private key lies; absolute. */
  readonly ownerKey?: string | undefined
}

const dayMs = 24 * 3_600_000

const usage = (sentence: string, hint: string): Complaint =>
  new Complaint(sentence, exitCodes.usage, hint)

/** All collections, or the one that is named. */
export function showCollections(desk: Desk, name: string | undefined): ExitCode {
  const { client, out } = desk
  if (name !== undefined) pillarsOf(desk, name)
  const all = client.directory.document().collections
  const shown = all.filter((one) => name === undefined || one.name === name)
  for (const one of shown) {
    const pillars = one.pillars.map((pillar) => ({ pillar, site: siteOf(desk, pillar) }))
    out.object({ ...one, pillars, roles: rolesIn(client.directory.document(), one.name) })
  }
  for (const line of table(shown.map((one) => rowOf(desk, one)))) out.line(line)
  if (name !== undefined) for (const line of leavesFor(desk, name)) out.line(line)
  if (name !== undefined)
    for (const line of rolesIn(client.directory.document(), name)) out.line(line)
  if (shown.length === 0) out.note('this archive has no collection yet')
  return exitCodes.done
}

/** Who may change many files now. */
const leavesFor = ({ client }: Desk, collection: string): string[] =>
  (client.directory.document().massChanges ?? [])
    .filter((one) => one.collection === collection)
    .filter(({ until }) => timeValue(until) > client.world.clock.now())
    .map(
      ({ identity, files, until }) => `${identity} may change ${files} files a day until ${until}`,
    )

const siteOf = ({ client }: Desk, pillar: string): string | undefined =>
  client.directory.identity(pillar)?.site

function rowOf(desk: Desk, collection: Collection): string[] {
  const { name, pillars, copiesMin, algorithm, fragments } = collection
  const where = pillars.map((pillar) => {
    const site = siteOf(desk, pillar)
    return site === undefined ? pillar : `${pillar} (${site})`
  })
  const copies = many(copiesMin, 'copy', 'copies')
  const kept = fragments
    ? `${many(fragments.copies, 'copy', 'copies')} in fragments of ${formatBytes(fragments.bytes)}`
    : 'whole files'
  const rule = [
    kept,
    ...(collection.appendOnly ? ['only ever added to'] : []),
    ...((collection.approvals ?? 1) > 1 ? ['changed by two people only'] : []),
    ...(collection.retainDays === undefined
      ? []
      : [`what goes is kept for ${collection.retainDays} days`]),
  ].join(', ')
  return [name, `${pillars.length} pillars`, rule, `safe at ${copies}`, algorithm, where.join(', ')]
}

/** Adds a collection, or gives one other rules; what is not named stays. */
export async function changeCollection(
  desk: Desk,
  how: 'add' | 'set',
  name: string,
  options: CollectionOptions,
): Promise<ExitCode> {
  const { client, out } = desk
  const document = client.directory.document()
  const old = document.collections.find((one) => one.name === name)
  if (how === 'add' && old)
    throw new Complaint(
      `there is a collection ${name} already`,
      exitCodes.failed,
      `\`colonnade collection set ${name}\` changes its rules`,
    )
  if (how === 'set') pillarsOf(desk, name)
  const collection = planned(document, name, old, options)
  const owner = ownerOf(desk, options.ownerKey ?? desk.ownerKey)
  const collections = [...document.collections.filter((one) => one.name !== name), collection]
  const hint = 'somebody else has changed it: look at it, and repeat the command'
  await published(desk, { ...document, collections }, owner, hint)
  for (const line of table([rowOf(desk, collection)])) out.line(line)
  out.object({ ...collection })
  if (old && collection.pillars.some((pillar) => !old.pillars.includes(pillar)))
    out.note('new pillars get what was put before from the others, by themselves')
  return exitCodes.done
}

/** The collection as it shall be; a complaint about what can not be. Pure. */
export function planned(
  document: ArchiveDocument,
  name: string,
  old: Collection | undefined,
  options: CollectionOptions,
): Collection {
  const { pillar, copies: asked, copiesMin, sites } = options
  const fragments = fragmentsOf(old, options)
  // Of fragments it is the copies that are counted: all pillars may hold some.
  const copies = fragments ? undefined : asked
  if (!isName(name))
    throw usage(
      `${name} is no name for a collection`,
      'lower-case letters, digits and -, 63 at most',
    )
  const named = pillar ? [...new Set(pillar)] : copies === undefined ? old?.pillars : undefined
  const pillars = named ?? chosen(document, copies)
  for (const one of pillars)
    if (!document.identities.some(({ name, role }) => name === one && role === 'pillar'))
      throw usage(`${one} is no pillar of this archive`, pillarNames(document))
  const keepers = pillars.filter((one) => keepsFiles(document, one))
  if (copies !== undefined && keepers.length !== copies)
    throw usage(
      `${many(keepers.length, 'pillar')} can not keep ${copies} copies`,
      pillarNames(document),
    )
  const places = new Set(keepers.map((one) => identityOf(document, one)?.site ?? one)).size
  if (sites !== undefined && places < sites)
    throw usage(
      `${keepers.join(', ')} stand in ${many(places, 'place')}, not in ${sites}`,
      'name pillars of other places, or give them sites',
    )
  if (fragments && fragments.copies > keepers.length)
    throw usage(
      `${many(keepers.length, 'pillar')} can not keep ${fragments.copies} copies`,
      pillarNames(document),
    )
  const most = fragments?.copies ?? keepers.length
  const least = copiesMin ?? old?.copiesMin ?? Math.min(2, most)
  if (least < 1 || least > most)
    throw usage(
      `${many(most, fragments ? 'copy' : 'pillar', fragments ? 'copies' : 'pillars')} can not confirm ${many(least, 'copy', 'copies')}`,
      '--copies-min is at least 1, and at most how many of its pillars keep files, or the copies of fragments',
    )
  const retainDays =
    options.retain === undefined ? old?.retainDays : Math.ceil(options.retain / dayMs)
  if (retainDays !== undefined && retainDays > 3_650)
    throw usage('bytes are kept aside for ten years at most', 'like --retain 90d')
  const approvals = options.approvals ?? old?.approvals ?? 1
  if (approvals > 2) throw usage('at most two people must want a change', 'like --approvals 2')
  // A checksum pillar can not hold a part of anything.
  const chosenOnes = fragments ? keepers : pillars
  const rules = {
    ...{ name, pillars: [...chosenOnes], copiesMin: least, algorithm: 'sha256' as const },
    ...((options.appendOnly ?? old?.appendOnly) ? { appendOnly: true } : {}),
    ...(retainDays === undefined ? {} : { retainDays }),
    ...(approvals > 1 ? { approvals } : {}),
  }
  return fragments ? { ...rules, fragments } : rules
}

/** How a collection is, or shall be, kept in fragments; undefined of whole files. */
function fragmentsOf(
  old: Collection | undefined,
  { copies, fragmentSize }: CollectionOptions,
): Collection['fragments'] {
  if (fragmentSize === undefined) {
    const known = old?.fragments
    return known && { ...known, copies: copies ?? known.copies }
  }
  if (fragmentSize < fragmentBytesMin || fragmentSize > fragmentBytesMax)
    throw usage(
      `a fragment has ${formatBytes(fragmentBytesMin)} to ${formatBytes(fragmentBytesMax)}`,
      '16MiB suits most disks and links',
    )
  if (old && !old.fragments)
    throw usage(
      `${old.name} is kept as whole files`,
      'add another collection in fragments, and put the files there',
    )
  return { bytes: fragmentSize, copies: copies ?? old?.fragments?.copies ?? 2 }
}

const identityOf = (document: ArchiveDocument, name: string) =>
  document.identities.find((one) => one.name === name)

const keepsFiles = (document: ArchiveDocument, name: string): boolean =>
  identityOf(document, name)?.kind !== 'checksum'

const pillarNames = ({ identities }: ArchiveDocument): string => {
  const names = identities.filter(({ role }) => role === 'pillar').map(({ name }) => name)
  return names.length === 0 ? 'it has none yet' : `they are: ${names.join(', ')}`
}

/** So many of those that keep files, first one of each place; all, and the checksum pillars, when no number is given. */
function chosen(document: ArchiveDocument, copies: number | undefined): string[] {
  const pillars = document.identities.filter(({ role }) => role === 'pillar')
  if (copies === undefined) return pillars.map(({ name }) => name)
  const places = new Map<string, string[]>()
  for (const { name, site = name, kind } of pillars)
    if (kind !== 'checksum') places.set(site, [...(places.get(site) ?? []), name])
  const turns = Math.max(0, ...[...places.values()].map(({ length }) => length))
  return Array.from({ length: turns }, (_, turn) =>
    [...places.values()].flatMap((names) => names[turn] ?? []),
  )
    .flat()
    .slice(0, copies)
}

/** Gives the next archive document to the tracker; throws a complaint when that has a newer one. */
export async function published(
  { client, signal }: Desk,
  next: ArchiveDocument,
  owner: Signer,
  hint = 'somebody else has changed it: repeat the command',
): Promise<void> {
  if ((await publishDocument(client, next, owner, signal)) !== 'refused') return
  throw new Complaint('the tracker has a newer archive document by now', exitCodes.failed, hint)
}

/** The owner's key; a complaint when it is not at hand, or another's. */
export function ownerOf({ client }: Desk, path: string | undefined): Signer {
  const hint = 'it lies where the archive was founded, as archive/owner.key: name it by --owner-key'
  if (path === undefined)
    throw new Complaint(
      'only the owner may do this, and no owner key is at hand',
      exitCodes.failed,
      hint,
    )
  let signer: ReturnType<typeof nodeSigner>
  try {
    signer = nodeSigner(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Complaint(`${path}: ${reasonOf(error)}`, exitCodes.failed, hint)
  }
  if (client.directory.owner === signer.publicKey) return signer
  throw new Complaint(`${path} is not the key of the owner of this archive`, exitCodes.failed, hint)
}
