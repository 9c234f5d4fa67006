/** So many at once, and so many a second after that. */
export interface Allowance {
  /** Milliseconds that whoever takes one has to wait for it; 0 most of the time. */
  take(): number
}

export function allowance(burst: number, perSecond: number): Allowance {
  let left = burst
  let at = performance.now()
  return {
    take() {
      const now = performance.now()
      left = Math.min(burst, left + ((now - at) / 1000) * perSecond) - 1
      at = now
      return left >= 0 ? 0 : (-left / perSecond) * 1000
    },
  }
}

/** One for each name, forgotten when nobody of that name is there. */
export function allowances(burst: number, perSecond: number) {
  const known = new Map<string, { allowance: Allowance; users: number }>()
  return {
    enter(name: string): void {
      const one = known.get(name) ?? { allowance: allowance(burst, perSecond), users: 0 }
      one.users++
      known.set(name, one)
    },
    leave(name: string): void {
      const one = known.get(name)
      if (one && --one.users === 0) known.delete(name)
    },
    take: (name: string): number => known.get(name)?.allowance.take() ?? 0,
    users: (name: string): number => known.get(name)?.users ?? 0,
  }
}
