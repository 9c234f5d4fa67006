/** Founding an archive on a server, and the folders its members need. */
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../system/config.ts'
import { trackerShape } from '../system/config-shapes.ts'
import {
  addMember,
  foundArchive,
  ownerKey,
  readDocument,
  setCollection,
  takeDocument,
} from './archive.ts'
import { writeMemberConfig } from './configs.ts'

export interface InitOptions {
  readonly archive: string
  readonly host: string
  readonly exchangePort: string
  readonly brokerPort: string
}

/** Founds an archive in a folder: authority, owner key, document, and the tracker's own membership and configuration. */
export async function init(folder: string, options: InitOptions): Promise<void> {
  const exchangeUrl = `https://${options.host}:${options.exchangePort}`
  const brokerUrl = `mqtts://${options.host}:${options.brokerPort}`
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
      'broker.listen': `${listen}:${options.brokerPort}`,
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
  takeBack(folder)
  await addMember(
    archive,
    {
      ...{ role, name },
      ...(typeof values.site === 'string' ? { site: values.site } : {}),
      ...(values.kind === 'checksum' ? { kind: values.kind } : {}),
    },
    out,
  )
  handOver(folder)
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

/** Adds a collection, or gives it another policy. */
export function decide(folder: string, collection: Parameters<typeof setCollection>[1]): void {
  takeBack(folder)
  setCollection(join(folder, 'archive'), collection)
  handOver(folder)
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
