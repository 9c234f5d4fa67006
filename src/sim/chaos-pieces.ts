/** What must hold of a collection in fragments when everything works again. */
import { strict as assert } from 'node:assert'
import type { Client } from '../client/client.ts'
import { getBatch } from '../client/get.ts'
import { fragmentFileId } from '../protocol/fragments.ts'
import { digestOf } from '../world/world.ts'
import type { Fleet } from './fleet.ts'
import { memoryLanding } from './memory.ts'

export const piecesName = 'pieces'
const hour = 3_600_000
const all = { collection: piecesName, limit: 100_000 }

/** Whether some fragment has fewer copies than it should have. */
export async function isScarce(fleet: Fleet): Promise<boolean> {
  const pillars = fleet.boards.map(({ name }) => name)
  const { view } = fleet.tracker.vault()
  const { copies } = fleet.pieces
  const found = await view.fragments({ ...all, limit: 1, scarce: { pillars, below: copies } })
  return found.length > 0
}

/**
 * Each fragment that a file needs has its copies, and those who are said to hold it do; the tracker has nothing left of
 * the files; and each file that was acknowledged comes back from the pillars.
 */
export async function checkPieces(
  fleet: Fleet,
  client: Client,
  promised: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly checksum: string }>,
): Promise<void> {
  const { view, disk, index } = fleet.tracker.vault()
  for (const fragment of await view.fragments(all)) {
    if (fragment.wanted === 0) continue
    const id = fragmentFileId(fragment)
    const holders = fragment.holders.filter(({ stage }) => stage === 'persisted')
    assert(
      holders.length >= fleet.pieces.copies,
      `${id} has ${holders.length} of ${fleet.pieces.copies} copies`,
    )
    for (const { pillar } of holders) {
      const board = fleet.boards.find(({ name }) => name === pillar)
      const [row] = (await board?.index.stored(piecesName, [id])) ?? []
      const bytes = board?.disk.snapshot().get(`${piecesName}/data/${row?.path}`)
      assert(bytes && digestOf(fleet, bytes) === fragment.hash, `${pillar} does not hold ${id}`)
    }
  }
  const left = [...disk.snapshot().keys()].filter(
    (path) => path.startsWith(`${piecesName}/data/`) && !path.endsWith('/'),
  )
  const waiting = new Set((await index.accepted()).map(({ key }) => key))
  if (waiting.size === 0) assert.deepEqual(left, [], 'the tracker keeps bytes that are safe')
  for (const [id, { bytes, checksum }] of promised) {
    const landing = memoryLanding(fleet, checksum)
    const [got] = await fleet.time.finish(
      getBatch(client, piecesName, [{ id, landing }], { signal: new AbortController().signal }),
      hour,
    )
    assert.equal(got?.outcome, 'fetched', `${id} does not come back: ${got?.why}`)
    assert.deepEqual(landing.bytes(), bytes, `${id} comes back with other bytes`)
  }
}
