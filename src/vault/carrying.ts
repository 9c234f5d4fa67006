/** Brings to pillars what is still here: what a start finds, and what could not be brought when it came. */
import type { Disk } from '../disk/disk.ts'
import { foldPath, type StoredFile } from '../index/index.ts'
import { gate } from '../world/lock.ts'
import type { Settling, VaultParts } from './settling.ts'

/** Between two tries of what can not be brought: at first, and at most. */
const againMsMin = 10_000
const againMsMax = 10 * 60_000
/** Ids that are settled at a time. */
const atOnce = 16
const entriesAtATime = 500

export function carrying(parts: VaultParts, work: Settling) {
  const { world, signal } = parts
  let due = false
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    let pauseMs = againMsMin
    while (due && !signal.aborted) {
      due = false
      const failed = await sweep(parts, work).catch((error) => {
        world.log.error('vault.sweepFailed', { why: String(error) })
        return 1
      })
      if (failed === 0) pauseMs = againMsMin
      else {
        due = true
        await world.clock.sleep(pauseMs, signal)
        pauseMs = Math.min(pauseMs * 2, againMsMax)
      }
    }
    running = undefined
  }
  return {
    /** Resolves when it is known what the last end has left here. */
    known: known(parts, work),
    wake(): void {
      due = true
      running ??= run()
    },
    idle: async (): Promise<void> => running,
  }
}

async function known(parts: VaultParts, work: Settling): Promise<void> {
  for (const { name, fragments } of parts.directory.document().collections)
    if (fragments) for await (const row of here(parts, name)) work.expect(name, row.id)
}

/** Settles all that is not safe yet; how many could not be. */
async function sweep(parts: VaultParts, work: Settling): Promise<number> {
  const { directory, world, signal } = parts
  const slots = gate(atOnce)
  const all: Promise<void>[] = []
  let failed = 0
  const settle = async (collection: string, id: string): Promise<void> => {
    const leave = await slots.enter()
    all.push(
      work
        .settle(collection, id)
        .catch((error) => {
          failed++
          if (!signal.aborted) world.log.warn('vault.notSafe', { collection, id, why: `${error}` })
        })
        .finally(leave),
    )
  }
  for (const { name, fragments } of directory.document().collections) {
    if (!fragments) continue
    for await (const row of here(parts, name)) await settle(name, row.id)
    for await (const id of untold(parts, name)) await settle(name, id)
  }
  await Promise.all(all)
  return signal.aborted ? 0 : failed
}

/** Files whose bytes are on our disk; every other one has left it, so there are few. */
async function* here({ disk, volume, index }: VaultParts, collection: string) {
  const root = `${collection}/data`
  for await (const path of filesBelow(disk, root)) {
    const id = await index.atPath(collection, foldPath(path.slice(root.length + 1)))
    const [row]: (StoredFile | undefined)[] =
      id === undefined ? [] : await volume.stored(collection, [id])
    if (row && `${root}/${row.path}` === path) yield row
  }
}

async function* filesBelow(disk: Disk, folder: string): AsyncGenerator<string> {
  for (const { name, kind } of await disk.list(folder)) {
    const path = `${folder}/${name}`
    if (kind === 'folder') yield* filesBelow(disk, path)
    else if (kind === 'file') yield path
  }
}

/** Ids whose text no pillar has. */
async function* untold({ view }: VaultParts, collection: string): AsyncGenerator<string> {
  let after = ''
  for (;;) {
    const entries = await view.entries(collection, after, entriesAtATime)
    const holders = await view.holders(
      collection,
      entries.map(({ fragment }) => fragment.hash),
    )
    for (const [n, { id }] of entries.entries())
      if (!holders[n]?.some(({ stage }) => stage === 'persisted')) yield id
    const last = entries.at(-1)
    if (!last || entries.length < entriesAtATime) return
    after = last.id
  }
}
