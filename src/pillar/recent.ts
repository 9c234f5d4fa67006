/** Answers to reads: given again to a repeat from memory, as long as they are among the newest. */
export interface Recent<T> {
  get(key: string): T | undefined
  set(key: string, value: T): void
}

/** Keeps the newest `max`. */
export function recent<T>(max: number): Recent<T> {
  const kept = new Map<string, T>()
  return {
    get: (key) => kept.get(key),
    set(key, value) {
      kept.set(key, value)
      for (const old of kept.keys()) {
        if (kept.size <= max) break
        kept.delete(old)
      }
    },
  }
}

/** To a request whose key another one had, with another substance. */
export const contradiction = 'another request had this conversation before'
