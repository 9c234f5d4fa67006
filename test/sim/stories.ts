// What the stories of collections in fragments share: a small archive, what is said in it, and what must hold in the end.

import { strict as assert } from 'node:assert'
import type { Client } from '../../src/client/client.ts'
import { type PutResult, putBatch } from '../../src/client/put.ts'
import { parse, unseal } from '../../src/protocol/envelope.ts'
import type { Message } from '../../src/protocol/messages.ts'
import type { Hop } from '../../src/sim/bus.ts'
import { checkPieces, isScarce, piecesName } from '../../src/sim/chaos-pieces.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour
export const fragmentBytes = 65_536

export type Item = ReturnType<typeof memoryItem>

export interface Said extends Hop {
  readonly message: Message
}

export interface Stage {
  readonly fleet: Fleet
  readonly ann: Client
  item(id: string, size: number): Item
  put(items: readonly Item[]): Promise<PutResult[]>
  /** From now on every hop of an event is shown to this; what it says true of is lost. */
  lose(which: (said: Said) => boolean): void
}

export async function stage(
  seed: string,
  {
    pillars = 3,
    graceMs,
    joined = true,
  }: { pillars?: number; graceMs?: number; joined?: boolean } = {},
): Promise<Stage> {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2, fragments: { bytes: fragmentBytes, copies: 2 } },
    ...(graceMs === undefined ? {} : { graceMs }),
  })
  const ann = await fleet.client('ann')
  if (joined) await fleet.time.advance(20_000)
  return {
    fleet,
    ann,
    item: (id, size) => memoryItem(fleet.random.fork(id), fleet, id, size),
    put: (items) =>
      fleet.time.finish(
        putBatch(ann, piecesName, items, { signal: new AbortController().signal }),
        6 * hour,
      ),
    lose: (which) =>
      fleet.broker.losing((hop) => {
        const message = eventOf(hop)
        return message !== undefined && which({ ...hop, message })
      }),
  }
}

/** What is said of fragments and members; undefined for everything else. */
function eventOf({ topic, payload }: Hop): Message | undefined {
  if (!/^colonnade\/(tracker\/(hello|goodbye)|clients|files|fragments)/.test(topic))
    return undefined
  const sealed = unseal(payload)
  const parsed = sealed && parse(sealed.line)
  return parsed?.is === 'message' ? parsed.message : undefined
}

export const care = ({ tracker }: Fleet) => {
  const found = tracker.running()?.care()
  assert(found, 'the tracker runs')
  return found
}
export const nameOf = ({ name }: { name: string }): string => name
export const present = (fleet: Fleet): string[] => care(fleet).members.present(piecesName)

/** Lets time pass until all are there and have their copies, and then some; not for ever. */
export async function settled(
  { fleet }: Stage,
  limitMs = 3 * hour,
  leftMs = 25 * minute,
): Promise<void> {
  const until = fleet.time.clock.monotonic() + limitMs
  while (fleet.time.clock.monotonic() < until) {
    await fleet.time.advance(30_000)
    if (present(fleet).length === fleet.boards.length && !(await isScarce(fleet))) break
  }
  // What is left over is offered every ten minutes.
  await fleet.time.advance(leftMs)
}

/** The invariants: copies, contents, ends, and that pillars and tracker say the same of what is held. */
export async function mustHold(on: Stage, items: readonly Item[]): Promise<void> {
  const { fleet, ann } = on
  assert.deepEqual(present(fleet), fleet.boards.map(nameOf), 'all are members, and there')
  await checkPieces(fleet, ann, new Map(items.map((one) => [one.id, one])))
  const { view } = fleet.tracker.vault()
  for (const { name, index } of fleet.boards) {
    const [summary] = (await index.summary()).filter(({ collection }) => collection === piecesName)
    const { digest } = await view.holding(piecesName, name)
    assert.equal(digest, summary?.digest ?? '0'.repeat(32), `the view of ${name} is another`)
  }
  for (const { hash, holders } of await view.fragments({ collection: piecesName, limit: 10_000 }))
    for (const { pillar, stage } of holders)
      assert.equal(stage, 'persisted', `${pillar} holds ${hash} for the time being only`)
}
