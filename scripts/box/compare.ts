/** Fetches every file of a folder back from the pillars, each once, and compares it with the original byte for byte. */

import { batcher, filesEach, several } from '../../src/cli/batches.ts'
import { idText } from '../../src/cli/output.ts'
import { progress } from '../../src/cli/progress.ts'
import { type Desk, onDisk } from '../../src/cli/put.ts'
import { type FoundFile, walk } from '../../src/cli/walk.ts'
import { type GetItem, getBatch } from '../../src/client/get.ts'
import { survey } from '../../src/client/list.ts'
import type { Disk } from '../../src/disk/disk.ts'
import type { Landing } from '../../src/exchange/bench.ts'
import { limits } from '../../src/limits.ts'

export interface Compared {
  readonly files: number
  readonly equal: number
  readonly bytes: number
  /** The fewest copies with equal checksums that any of the files has. */
  readonly copies: number
  readonly from: readonly (readonly [pillar: string, files: number])[]
}

export async function compare(desk: Desk, collection: string, folder: string): Promise<Compared> {
  const { client, disk, out, signal } = desk
  const files: FoundFile[] = []
  for await (const one of walk([folder])) if (one.is === 'file') files.push(one)
  const { files: known } = await survey(client, collection, {}, signal)
  const copies = Math.min(...files.map((file) => known.get(file.id)?.pillars.length ?? 0))
  const bar = progress({
    verb: 'get',
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    files: files.length,
    quiet: false,
  })
  const from = new Map<string, number>()
  const load = new Map<string, number>()
  const lanes = several(limits.conversationsOpenMax)
  const batches = batcher<GetItem>(
    filesEach(files.length, client.policy(collection).pillars.length),
  )
  let equal = 0
  let moved = 0
  const fetch = (batch: readonly GetItem[]): Promise<void> =>
    lanes.add(async () => {
      const weight = batch.reduce((sum, item) => sum + (item.size ?? 0) + 10_000, 0)
      const prefer = (pillars: readonly string[]): string[] => {
        const order = [...pillars].sort((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0))
        if (order[0] !== undefined) load.set(order[0], (load.get(order[0]) ?? 0) + weight)
        return order
      }
      const results = await getBatch(client, collection, batch, {
        signal,
        prefer,
        progress(bytes) {
          moved += bytes
          bar.at(moved, equal)
        },
      })
      for (const { id, outcome, pillar = '', why } of results) {
        if (outcome !== 'fetched') {
          out.warn(`${idText(id)}: ${why ?? outcome}`)
          continue
        }
        equal++
        from.set(pillar, (from.get(pillar) ?? 0) + 1)
      }
    })
  for (const file of files) {
    const { id, size } = file
    const full = batches.add({ id, size, landing: comparing(disk, file) })
    if (full) await fetch(full)
  }
  const rest = batches.rest()
  if (rest) await fetch(rest)
  await lanes.all()
  bar.end()
  return {
    files: files.length,
    equal,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    copies: files.length === 0 ? 3 : copies,
    from: [...from].sort(),
  }
}

/** A landing that keeps nothing: each byte that comes is held against the original. */
function comparing(disk: Disk, file: FoundFile): Landing {
  let at = 0
  let differs = false
  return {
    at: () => at,
    async write(bytes) {
      const original = await disk.read(onDisk(file.path), at, bytes.length)
      if (Buffer.compare(original, bytes) !== 0) differs = true
      at += bytes.length
    },
    secure: async () => undefined,
    finish: async (size) =>
      differs || at !== size || size !== file.size
        ? 'the bytes differ from the original'
        : undefined,
  }
}
