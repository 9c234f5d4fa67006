/** Founding an archive on a server, and the folders its members need. */
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Collection, fragmentBytesMax, fragmentBytesMin } from '../protocol/document.ts'
import { readConfig } from '../system/config.ts'
import { trackerShape } from '../system/config-shapes.ts'
import { formatBytes, parseBytes } from '../world/units.ts'
import {
  addMember,
  foundArchive,
  ownerKey,
  readDocument,
  setCollection,
  takeDocument,
} from './archive.ts'
import { writeMemberConfig } from './configs.ts'
import { alone, lockNow } from './signing.ts'

export interface InitOptions {
  readonly archive: string
  readonly host: string
  readonly exchangePort: string
  /** Of its own for the embedded broker; without it both have the port of the exchange. */
  readonly brokerPort?: string
}

/** Founds an archive in a folder: authority, owner key, document, and the tracker's own membership and configuration. */
export async function init(folder: string, options: InitOptions): Promise<void> {
  const exchangeUrl = `https://${options.host}:${options.exchangePort}`
  const brokerUrl = `mqtts://${options.host}:${options.brokerPort ?? options.exchangePort}`
  await foundArchive(join(folder, 'archive'), {
    archive: options.archive,
    exchangeUrls: [exchangeUrl],
  })
  await addMember(
    join(folder, 'archive'),
    { role: 'tracker', name: 'tracker' },
    join(folder, 'tracker'),
  )
  const listen = options.host === '127.0.0.1' ? '127.0.0.1' : '0.0.0.0'
  writeMemberConfig(join(folder, 'tracker'), {
    role: 'tracker',
    name: 'tracker',
    archive: options.archive,
    owner: ownerKey(join(folder, 'archive')),
    exchangeUrl,
    brokerUrl,
    values: {
      // Taken away, nobody is let in by a code any more.
      'owner-key': '../archive/owner.key',
      'broker.listen':
        options.brokerPort === undefined ? 'exchange' : `${listen}:${options.brokerPort}`,
      'exchange.listen': `${listen}:${options.exchangePort}`,
    },
  })
}

/** Makes the folder that a board or a computer needs to take part. */
export async function add(
  folder: string,
  role: 'pillar' | 'client',
  name: string,
  out: string,
  values: Record<string, string | string[]> = {},
): Promise<void> {
  const archive = join(folder, 'archive')
  await alone(join(folder, 'tracker'), async () => {
    takeBack(folder)
    const member = {
      ...{ role, name },
      ...(typeof values.site === 'string' ? { site: values.site } : {}),
      ...(values.kind === 'checksum' ? { kind: 'checksum' as const } : {}),
    }
    await addMember(archive, member, out)
    handOver(folder)
  })
  const { document } = readDocument(archive)
  const tracker = readConfig(join(folder, 'tracker', 'tracker.toml'), trackerShape).values
  writeMemberConfig(out, {
    role,
    name,
    archive: document.archive,
    owner: ownerKey(archive),
    exchangeUrl: document.exchanges[0]?.urls[0] ?? '',
    brokerUrl: tracker['broker.url'],
    values,
  })
}

export interface CollectionOptions {
  readonly pillars: readonly string[]
  readonly copiesMin: string
  readonly fragmentSize?: string
  readonly copies: string
}

/** The policy that is meant; throws with a sentence when there can be none such. */
export function collectionOf(name: string, options: CollectionOptions): Collection {
  const { pillars, fragmentSize } = options
  const [copiesMin, copies] = [Number(options.copiesMin), Number(options.copies)]
  const policy = { name, pillars: [...pillars], copiesMin, algorithm: 'sha256' as const }
  if (fragmentSize === undefined) return policy
  const bytes = parseBytes(fragmentSize)
  if (bytes === undefined) throw new Error(`${fragmentSize} is no size; e.g. 16MiB`)
  if (bytes < fragmentBytesMin || bytes > fragmentBytesMax)
    throw new Error(
      `a fragment has ${formatBytes(fragmentBytesMin)} to ${formatBytes(fragmentBytesMax)}`,
    )
  if (!Number.isInteger(copies) || copies < 1 || copies > pillars.length)
    throw new Error(`${pillars.length} pillars can not keep ${options.copies} copies`)
  if (copiesMin > copies)
    throw new Error(`a put is done at ${copiesMin} copies, but only ${copies} are to be made`)
  return { ...policy, fragments: { bytes, copies } }
}

/** Adds a collection, or gives it another policy. */
export function decide(folder: string, collection: Parameters<typeof setCollection>[1]): void {
  const unlock = lockNow(join(folder, 'tracker'))
  try {
    takeBack(folder)
    setCollection(join(folder, 'archive'), collection)
    handOver(folder)
  } finally {
    unlock()
  }
}

/** The owner may have changed the document from elsewhere: what the tracker has since then is gone on from. */
function takeBack(folder: string): void {
  const place = join(folder, 'tracker', 'archive-document')
  if (existsSync(place)) takeDocument(join(folder, 'archive'), readFileSync(place))
}

/** Gives the tracker the newest document; it watches for it. */
function handOver(folder: string): void {
  const place = join(folder, 'tracker', 'archive-document')
  copyFileSync(join(folder, 'archive', 'archive-document'), `${place}.new`)
  renameSync(`${place}.new`, place)
}
