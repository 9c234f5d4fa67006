/** Which pillar could not deliver what, while it is of use to know: another is asked first. In memory only. */
import type { Clock } from '../world/world.ts'
import { type Debt, debtKey } from './ledger.ts'

export interface Refusals {
  add(debt: Debt, holder: string): void
  has(debt: Debt, holder: string): boolean
  /** It came in the end. */
  forget(debts: readonly Debt[]): void
}

/** A disk may have been mended meanwhile. */
const rememberedMs = 6 * 3_600_000

export function refusals(clock: Clock): Refusals {
  const known = new Map<string, Map<string, number>>()
  return {
    add(debt, holder) {
      const key = debtKey(debt)
      known.set(key, (known.get(key) ?? new Map()).set(holder, clock.monotonic() + rememberedMs))
    },
    has: (debt, holder) =>
      (known.get(debtKey(debt))?.get(holder) ?? Number.NEGATIVE_INFINITY) > clock.monotonic(),
    forget(debts) {
      for (const debt of debts) known.delete(debtKey(debt))
    },
  }
}
