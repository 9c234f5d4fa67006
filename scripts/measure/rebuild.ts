/**
 * A tracker without its disk and a million files in fragments: who holds what, and the catalogue, from what the pillars have.
 * The real view, index and vault; the pillars are lists in this process, so that nothing of it is the network's time.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../src/disk/node.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import type { Collection } from '../../src/protocol/document.ts'
import { type Fragment, fragmentFileId } from '../../src/protocol/fragments.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import { openVolume } from '../../src/store/volume.ts'
import { systemClock } from '../../src/system/clock.ts'
import { systemRandom } from '../../src/system/random.ts'
import { learning } from '../../src/vault/learning.ts'
import { settling, type VaultParts } from '../../src/vault/settling.ts'
import { tell as textOf } from '../../src/vault/text.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { ViewChange } from '../../src/view/view.ts'
import { hashingInThread } from '../../src/world/hashing.ts'
import { asyncDisk } from '../../test/support/in-thread.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

const collection = 'home'
const pillars = Array.from({ length: 6 }, (_, n) => `pillar-${n + 1}`)
const fragmentBytes = 4 * 1024 * 1024
const changesAtOnce = 2_000
const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex')

export const rebuild: Measurement = async ({ scale }) => {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-rebuild-'))
  try {
    return await measured(home, Math.round(1_000_000 * scale))
  } finally {
    rmSync(home, { recursive: true })
  }
}

async function measured(home: string, count: number): Promise<string> {
  const rows: string[][] = []
  const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const [began, used] = [performance.now(), process.cpuUsage()]
    await work()
    const { user, system } = process.cpuUsage(used)
    const took = inSeconds(performance.now() - began)
    rows.push([what, took, inSeconds((user + system) / 1_000), inMiB(process.memoryUsage.rss())])
    tell(`${what}: ${took}`)
  }
  const archive = archiveOf(count)
  rows.push(['what the pillars have, as lists', '', '', inMiB(process.memoryUsage.rss())])
  const parts = await partsAt(home)
  await timed('who holds what, from their inventories', () =>
    Promise.all(pillars.map((pillar) => inventoried(parts, archive.held(pillar), pillar))),
  )
  const learned = learning(parts, settling(parts))
  await timed('names, sizes, times and versions, from their texts', () =>
    Promise.all(
      pillars.map((pillar) =>
        learned.learn(collection, pillar, archive.texts(pillar), async (some) => {
          archive.fetched += some.length
          return new Map(some.map(({ hash }) => [hash, archive.text(hash)]))
        }),
      ),
    ),
  )
  const known = (await parts.index.summary())[0]?.files ?? 0
  if (known !== count) throw new Error(`${known} files are known again`)
  const each = (archive.fetched / count).toFixed(2)
  rows.push([`texts fetched: ${each} a file`, '', '', ''])
  rows.push(['view and index on the disk', '', '', inMiB(sizeOf(home))])
  await parts.view.close()
  await parts.volume.close()
  const head = [
    `${count} files of one fragment × 2, texts × 3, on 6 pillars`,
    'takes',
    'CPU',
    'memory',
  ]
  return markdown(head, rows)
}

const sizeOf = (home: string): number =>
  ['view.sqlite', 'index.sqlite'].reduce((sum, name) => sum + statSync(join(home, name)).size, 0)

/** What was put once: each file has a fragment and a text, each on some of the pillars. */
function archiveOf(count: number) {
  const textAt = (n: number): string => {
    const hash = sumOf(`slice ${n}`)
    return textOf({
      ...{ collection, id: `folder ${n % 1_000}/file ${n}`, version: n + 1, state: 'stored' },
      ...{ size: fragmentBytes, checksum: hash, mtime: 0, slices: [{ hash, size: fragmentBytes }] },
    })
  }
  const numbers = new Map<string, number>()
  for (let n = 0; n < count; n++) numbers.set(sumOf(textAt(n)), n)
  const has = (pillar: string, n: number, copies: number): boolean =>
    (pillars.indexOf(pillar) - n + pillars.length * count) % pillars.length < copies
  function* infos(pillar: string): Generator<Fragment> {
    for (const [hash, n] of numbers)
      if (has(pillar, n, 3)) yield { hash, size: textAt(n).length, kind: 'info' }
  }
  return {
    fetched: 0,
    text: (hash: string): string => textAt(numbers.get(hash) ?? -1),
    *held(pillar: string): Generator<Fragment> {
      for (let n = 0; n < count; n++)
        if (has(pillar, n, 2))
          yield { hash: sumOf(`slice ${n}`), size: fragmentBytes, kind: 'slice' }
      yield* infos(pillar)
    },
    async *texts(pillar: string) {
      for (const one of infos(pillar))
        yield { id: fragmentFileId(one), size: one.size, checksum: one.hash }
    },
  }
}

async function partsAt(home: string): Promise<VaultParts> {
  const quiet = (): void => undefined
  const world = {
    ...{ clock: systemClock(), random: systemRandom(), hashing: hashingInThread() },
    log: { debug: quiet, info: quiet, warn: quiet, error: (event: string) => tell(event) },
  }
  const policy: Collection = {
    ...{ name: collection, pillars, copiesMin: 2, algorithm: 'sha256' },
    fragments: { bytes: fragmentBytes, copies: 2 },
  }
  const about = { archive: 'test', version: 1, issuedAt: '2026-01-01T00:00:00.000Z' }
  const document = { ...about, identities: [], exchanges: [], collections: [policy] }
  const disk = asyncDisk(nodeDisk(home))
  await adoptVolume(world, disk, { pillar: 'tracker', archive: 'test', volume: 'v1' })
  const index = asyncIndex(openIndex(join(home, 'index.sqlite')))
  const options = { pillar: 'tracker', archive: 'test', reserveBytes: 0, passing: true }
  const nobody = async (): Promise<never> => {
    throw new Error('nobody is asked here')
  }
  return {
    ...{ world, disk, index, view: openView(join(home, 'view.sqlite')) },
    volume: await openVolume(world, disk, index, options),
    directory: {
      document: () => document,
      collection: (name) => (name === collection ? policy : undefined),
    },
    ...{ distribution: { spread: nobody }, fetch: nobody, present: () => pillars },
    signal: new AbortController().signal,
  }
}

/** As the tracker takes it from the listings of a pillar. */
async function inventoried(
  { view }: VaultParts,
  held: Iterable<Fragment>,
  pillar: string,
): Promise<void> {
  const changes: ViewChange[] = []
  for (const fragment of held) {
    const known = await view.fragment(collection, fragment.hash)
    if (known?.holders.some((one) => one.pillar === pillar)) continue
    changes.push({ do: 'hold', collection, fragment, pillar, stage: 'persisted', at: 0 })
    if (changes.length >= changesAtOnce) await view.change(changes.splice(0))
  }
  await view.change(changes)
}
