/** Which pillar could not deliver what, while it is of use to know: another is asked first. In memory only. */
import type { Clock } from '../world/world.ts'
import { type Debt, debtKey } from './ledger.ts'

export interface Refusals {
  add(debt: Debt, holder: string): void
  has(debt: Debt, holder: string): boolean
  /** Wrong bytes came: whatever of them is on its way is not gone on with. */
  spoil(debt: Debt): void
  /** How often wrong bytes may have begun to come: what is on its way is named anew each time. */
  turn(debt: Debt): number
  /** It came in the end. */
  forget(debts: readonly Debt[]): void
}

/** A disk may have been mended meanwhile. */
const rememberedMs = 6 * 3_600_000

export function refusals(clock: Clock): Refusals {
  const known = new Map<string, Map<string, number>>()
  const turns = new Map<string, number>()
  const turn = (debt: Debt): number => turns.get(debtKey(debt)) ?? 0
  const spoil = (debt: Debt): void => void turns.set(debtKey(debt), turn(debt) + 1)
  return {
    add(debt, holder) {
      const key = debtKey(debt)
      spoil(debt)
      known.set(key, (known.get(key) ?? new Map()).set(holder, clock.monotonic() + rememberedMs))
    },
    has: (debt, holder) =>
      (known.get(debtKey(debt))?.get(holder) ?? Number.NEGATIVE_INFINITY) > clock.monotonic(),
    spoil,
    turn,
    forget(debts) {
      for (const debt of debts) {
        known.delete(debtKey(debt))
        turns.delete(debtKey(debt))
      }
    },
  }
}
