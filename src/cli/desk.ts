/** What every command works with. */
import { relative } from 'node:path'
import type { Client } from '../client/client.ts'
import type { Disk } from '../disk/disk.ts'
import type { LinkMemory } from './forecast.ts'
import { Complaint, exitCodes, type Output } from './output.ts'

export interface Desk {
  readonly client: Client
  /** The user's file system, from its root. */
  readonly disk: Disk
  readonly out: Output
  readonly signal: AbortSignal
  /** Where the owner's private key lies, if the configuration says it. */
  readonly ownerKey?: string | undefined
  /** Certificate of the archive's authority, PEM. */
  readonly authority?: string
  /** What is known of the internet here. */
  readonly link?: LinkMemory
}

/** Paths on the disk port have no leading slash. */
export const onDisk = (path: string): string => relative('/', path)

/** The pillars of a collection, or the one that was named; a complaint when the archive has no such thing. */
export function pillarsOf(
  { client }: Pick<Desk, 'client'>,
  collection: string,
  pillar?: string,
): readonly string[] {
  const { collections } = client.directory.document()
  const found = collections.find(({ name }) => name === collection)
  if (!found) {
    const names = collections.map(({ name }) => name).join(', ')
    const hint = names === '' ? 'it has none yet' : `it has: ${names}`
    const sentence = `there is no collection ${collection} in this archive`
    throw new Complaint(sentence, exitCodes.failed, hint)
  }
  const { pillars } = client.policy(collection)
  if (pillar === undefined) return pillars
  if (pillars.includes(pillar)) return [pillar]
  const sentence = `${pillar} is no pillar of ${collection}`
  throw new Complaint(sentence, exitCodes.failed, `they are: ${pillars.join(', ')}`)
}

export function nobodyAnswered({ client }: Pick<Desk, 'client'>, collection: string): Complaint {
  if (!client.directory.collection(collection)?.fragments)
    return new Complaint(
      'no pillar answered',
      exitCodes.nobody,
      'are they switched on, and connected? repeat the command when they are',
    )
  const [keeper] = client.policy(collection).pillars
  return new Complaint(
    `${keeper} did not answer; ${collection} is kept in fragments, and only the tracker knows where they are`,
    exitCodes.nobody,
    'repeat the command when it is there; without it, assemble.sh on any of the disks rebuilds the files',
  )
}
