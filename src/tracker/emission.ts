/**
 * A plan becomes debts, a few at a time: the ledger holds no more of them than are delivered soon, however much is
 * missing, and the listing they come from waits meanwhile.
 */
import { limits } from '../limits.ts'
import { timeValue } from '../protocol/scalars.ts'
import type { Debt } from './ledger.ts'
import type { RepairParts } from './repair.ts'
import { type Compared, listed } from './round.ts'

/** How often a full ledger is looked at again. */
const roomMs = 5_000

/**
 * Resolves with how many debts are new. Rejects with `Unable` when a source falls silent: the next round finds what it did
 * not tell.
 */
export async function emit(
  parts: RepairParts,
  collection: string,
  { pillars, plan }: Compared,
  listedFor: (pillar: string) => void,
): Promise<number> {
  let fresh = 0
  for (const [source, name] of pillars.entries()) {
    if (plan.sources[source] === 0) continue
    for await (const items of listed(parts, 'GetFileInfos', collection, name)) {
      const debts: Debt[] = []
      for (const { id, size, checksum, mtime, timestamp } of items) {
        const { to, holders } = plan.due(source, { id, checksum, timestamp: timeValue(timestamp) })
        for (const pillar of to
          .map((one) => pillars[one] ?? '')
          .filter((one) => !parts.leaves?.(one)))
          debts.push({
            collection,
            pillar,
            file: { id, size, checksum, mtime },
            holders: holders.map((holder) => pillars[holder] ?? ''),
            repair: true,
          })
      }
      for (const { pillar } of debts) listedFor(pillar)
      fresh += await owe(parts, debts)
    }
  }
  return fresh
}

/** Resolves with how many of them are new, once there was room for them. */
async function owe(parts: RepairParts, debts: readonly Debt[]): Promise<number> {
  const { ledger } = parts
  const fresh: Debt[] = []
  for (const debt of debts) if (!(await ledger.has(debt))) fresh.push(debt)
  let count = 0
  for (const pillar of new Set(fresh.map((debt) => debt.pillar))) {
    const mine = fresh.filter((debt) => debt.pillar === pillar)
    // One that goes away meanwhile is compared again when it returns.
    if (!(await room(parts, pillar))) continue
    await ledger.owe(mine)
    count += mine.length
    parts.remind(pillar)
  }
  return count
}

/** Waits until few debts are open; false when the pillar is not there any more. */
async function room({ client, ledger, signal }: RepairParts, pillar: string): Promise<boolean> {
  while ((await ledger.count(pillar, 'repair')) >= limits.repairsOpenMax) {
    if (client.line.presence(pillar) !== 'online') return false
    await client.world.clock.sleep(roomMs, signal)
    signal.throwIfAborted()
  }
  return client.line.presence(pillar) === 'online'
}
